//! The checked configuration: types that cannot be wrong.
//!
//! Built once by `config::check` in the broker; the worker receives its part ([`Worker`]) as JSON in a sealed
//! memfd. Nothing here reads a file, the environment or the network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::audit::Audit;
use super::confinement::{Confinement, Profile, Withheld};
use super::health::Health;
use super::peer::Peer;
use super::route::Route;
pub use super::secret::{Kept, Secret};
pub use super::worker::Worker;

/// A canonical channel name: `[a-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(String);

impl Channel {
    /// The channel of a command that names none.
    #[must_use]
    pub fn main() -> Self {
        Self("main".into())
    }

    /// Trims and lower-cases `text`; blank means `main`. `None` when what is left is not a channel name.
    #[must_use]
    pub fn normalise(text: &str) -> Option<Self> {
        let name = text.trim().to_ascii_lowercase();
        if name.is_empty() {
            return Some(Self::main());
        }
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        (name.len() <= 64 && name.bytes().all(legal)).then_some(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Channel {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match Self::normalise(&text) {
            Some(channel) if channel.0 == text => Ok(channel),
            _ => Err(format!("{text:?} is not a canonical channel name")),
        }
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// An absolute `http` or `https` URL without userinfo or fragment, as the operator wrote it (query kept).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HttpUrl(http::Uri);

impl HttpUrl {
    /// The URL for a request line.
    #[must_use]
    pub fn uri(&self) -> &http::Uri {
        &self.0
    }

    /// The port that is connected to: the URL's own, or that of its scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.0.scheme() == Some(&http::uri::Scheme::HTTPS) { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }

    /// Whether both lead to the same port of the same host.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        let host = |url: &Self| url.0.host().map(str::to_ascii_lowercase);
        self.port() == other.port() && host(self) == host(other)
    }
}

impl TryFrom<String> for HttpUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|_| "is not a URL".to_string())?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err("must be an http:// or https:// URL".into()),
        }
        match uri.authority() {
            Some(a) if a.as_str().contains('@') => Err("must not contain user information".into()),
            Some(a) if a.host().is_empty() => Err("must include a host".into()),
            // `http` keeps a port that is not a number, or none after the colon, in the text and hides it.
            Some(a) if a.as_str() != a.host() && a.port_u16().is_none_or(|port| port == 0) => {
                Err("must have a port between 1 and 65535, or none".into())
            }
            Some(_) => Ok(Self(uri)),
            None => Err("must include scheme and host".into()),
        }
    }
}

impl From<HttpUrl> for String {
    fn from(url: HttpUrl) -> Self {
        url.0.to_string()
    }
}

/// Everything `run` needs, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the worker is told.
    pub worker: Worker,
    /// The stdio MCP servers; [`Transport::Stdio`] names them by their place in this list.
    pub commands: Vec<Command>,
    /// The Unix sockets of MCP servers by the place of their binding; the broker connects them.
    pub unix_sockets: BTreeMap<u8, PathBuf>,
    /// Logging.
    pub log: Log,
    /// Stopping.
    pub stop: Stop,
    /// Starting workers and children again.
    pub restart: Restart,
    /// Whom the broker becomes, and what the kernel must be able to enforce.
    pub confinement: Confinement,
    /// The audit log, when there is one.
    pub audit: Option<Audit>,
    /// The health listener and the files that lead to it.
    pub health: Health,
    /// SHA-256 of the file that the configuration was read from.
    pub file_sha256: Option<[u8; 32]>,
    /// The agent's own files and directories, which no MCP server may reach.
    pub own_files: Vec<PathBuf>,
    /// The files that all of this was read from, as they are spelled.
    pub files: BTreeSet<PathBuf>,
    /// What the broker must be able to read to read them again, without symbolic links.
    pub readable: BTreeSet<PathBuf>,
    /// How often the files are looked at for changes; `None` is never.
    pub reload_interval: Option<Duration>,
    /// What was accepted but deserves a word in the log, as ready-made sentences.
    pub warnings: Vec<String>,
}

/// The control plane: where it is and how it is talked to (spec section 1).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Scheme and authority only, without a trailing slash: `https://api.openai.com`.
    pub origin: HttpUrl,
    /// How it is reached.
    pub route: Route,
    /// `""` or a cleaned prefix such as `/gw`, without a trailing slash.
    pub path_prefix: String,
    /// `tunnel_` and 32 lower-case letters or digits.
    pub tunnel_id: String,
    /// The value of `OpenAI-Organization`.
    pub organization: Option<String>,
    /// The bearer key.
    pub api_key: Kept,
    /// Operator headers, validated, none of them reserved. Values may be secret.
    pub extra_headers: Vec<(String, Kept)>,
    /// How long a poll may wait at the control plane.
    pub poll_timeout: Duration,
    /// Added to `poll_timeout` for the deadline of every control-plane request (sum at most 10 minutes).
    pub poll_guardrail: Duration,
    /// Waiting commands per channel.
    pub max_inflight: usize,
    /// Sorted allowlist of channels to poll for; `None` polls for all.
    pub poll_channels: Option<Vec<Channel>>,
    /// How it is known, and as whom the agent comes.
    pub peer: Peer,
}

/// One MCP server and the channel it answers on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The channel.
    pub channel: Channel,
    /// Declared as able to take self-contained requests of MCP 2026-07-28.
    pub stateless: bool,
    /// How the server is reached.
    pub transport: Transport,
}

/// How an MCP server is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Transport {
    /// Streamable HTTP.
    Http {
        /// The endpoint, exactly as configured.
        url: HttpUrl,
        /// How it is reached.
        route: Box<Route>,
        /// How the server is known, and as whom the agent comes.
        peer: Box<Peer>,
    },
    /// A child of the broker.
    Stdio {
        /// Its place in [`Config::commands`].
        index: u8,
        /// One request at a time.
        serialize: bool,
    },
}

/// Behaviour of the MCP side (`mcp.*`).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Static headers for every request to a configured HTTP server; headers of the command win.
    pub extra_headers: Vec<(String, Kept)>,
    /// How long the first poll waits for the HTTP server of the channel `main` at the start.
    pub startup_wait: Duration,
    /// Bound on one command from dispatch to terminal answer.
    pub connection_max_ttl: Duration,
    /// Commands in progress per channel.
    pub max_concurrent_requests: usize,
    /// The agent itself sends `notifications/initialized` after a successful forwarded `initialize` (stdio).
    pub stdio_send_initialized: bool,
}

/// Bounds on memory that a peer can claim. Defaults are the ruled ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// One poll body after inflation: 32 MiB.
    pub poll_body_bytes: usize,
    /// One MCP answer, SSE event or stdio line: 16 MiB.
    pub answer_bytes: usize,
    /// Payloads held, from which on no poll is sent: 128 MiB. A command counts from its arrival until its answer is
    /// delivered, an answer from when it is complete. What was accepted is carried to its end all the same, so this
    /// is when the agent stops taking more on, not the most that it holds. That is this, one poll body, and an
    /// answer (`answer_bytes`) for each command that a channel accepted before: `control_plane.max_inflight_requests`
    /// that wait and `mcp.max_concurrent_requests` that run, with up to four events on the way for one that runs.
    /// What is being posted is held twice: as it came and as it is sent.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { poll_body_bytes: 32 << 20, answer_bytes: 16 << 20, in_flight_bytes: 128 << 20 }
    }
}

/// A stdio MCP server.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The channel it answers on, for the log.
    pub channel: Channel,
    /// Absolute path of the program, then its arguments.
    pub argv: Vec<String>,
    /// The working directory; `/` by default.
    pub cwd: PathBuf,
    /// The whole environment of the child.
    pub env: BTreeMap<String, String>,
    /// What it may touch.
    pub profile: Profile,
    /// What `tunnel-client` would have given it and this agent does not, for the log.
    pub withheld: Vec<Withheld>,
}

impl std::fmt::Debug for Command {
    /// Without the values of the environment and the arguments, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command")
            .field("channel", &self.channel)
            .field("program", &self.argv.first())
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

/// Log output (`log.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Lines below this level are not written.
    pub level: crate::log::Level,
    /// The shape of a line.
    pub format: crate::log::Format,
    /// Append to this file (0600) instead of stderr.
    pub file: Option<PathBuf>,
}

/// Stopping (`drain_timeout`, `poll_grace`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// From the stop signal until unfinished calls are given up: 45 s.
    pub drain_timeout: Duration,
    /// What an outstanding poll still gets on SIGTERM: 5 s.
    pub poll_grace: Duration,
}

/// The budget for starting a worker or a child again: at most `times` within `window`, with backoff between
/// `backoff_min` and `backoff_max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Starts allowed in a window: 5.
    pub times: u32,
    /// The window: 10 minutes.
    pub window: Duration,
    /// The first pause: 200 ms.
    pub backoff_min: Duration,
    /// The longest pause, also the pace once the budget is spent: 60 s.
    pub backoff_max: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            times: 5,
            window: Duration::from_secs(600),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(60),
        }
    }
}
