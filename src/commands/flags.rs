//! The flags of `run`, which other commands take too: each named once, with its help. Pure.
//!
//! Read by the table of settings and not by a derived parser, which would cost some 20 KB of the binary.

use argh::{CommandInfo, EarlyExit, FromArgs, SubCommand};

use crate::config::{Flags, argv, keys};

/// Where the texts of the help begin, and where they end: as in the help of the other commands.
const COLUMN: usize = 20;
const WIDTH: usize = 80;

macro_rules! flags {
    ($($(#[doc = $help:literal])* $field:ident: $key:ident,)*) => {
        /// Each flag, by its dotted name, with its help.
        pub(super) static HELP: &[(&str, &str)] = &[$((keys::$key.flag, concat!($($help),*)),)*];
    };
}

/// The flags of `run`.
pub(super) struct RunFlags(Flags);

impl From<RunFlags> for Flags {
    fn from(given: RunFlags) -> Self {
        given.0
    }
}

impl SubCommand for RunFlags {
    const COMMAND: &'static CommandInfo =
        &CommandInfo { name: "run", short: &'\0', description: "run the agent" };
}

impl FromArgs for RunFlags {
    /// Takes normalised arguments, see [`argv::normalise`].
    fn from_args(command: &[&str], arguments: &[&str]) -> Result<Self, EarlyExit> {
        let mut flags = Flags::default();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            if matches!(*word, "--help" | "help") {
                return Err(EarlyExit { output: help(&command.join(" ")), status: Ok(()) });
            }
            match (argv::find(word), rest.next()) {
                (Some(key), Some(value)) => flags.add(key.flag, (*value).to_string()),
                _ => {
                    let output = format!(
                        "Unrecognized argument: {word}\n\nRun {} --help for the flags.",
                        command.join(" ")
                    );
                    return Err(EarlyExit { output, status: Err(()) });
                }
            }
        }
        Ok(Self(flags))
    }
}

fn help(command: &str) -> String {
    let about = RunFlags::COMMAND.description;
    let mut text = format!("Usage: {command} [flags]\n\n{about}\n\nOptions:");
    for (flag, help) in HELP {
        let name = format!("--{}", flag.replace('.', "-"));
        option(&mut text, &name, help.trim());
    }
    option(&mut text, "--help, help", "display usage information");
    text
}

/// Adds an option with its help, broken into lines.
fn option(text: &mut String, name: &str, help: &str) {
    text.push_str("\n  ");
    text.push_str(name);
    let mut at = name.len().saturating_add(2);
    if at >= COLUMN {
        at = WIDTH;
    }
    for word in help.split(' ') {
        if at.saturating_add(word.len()) >= WIDTH {
            text.push('\n');
            at = 0;
        }
        let gap = if at < COLUMN { COLUMN.saturating_sub(at) } else { 1 };
        text.extend(std::iter::repeat_n(' ', gap));
        text.push_str(word);
        at = at.saturating_add(gap).saturating_add(word.len());
    }
}

flags! {
    /// configuration file
    config: CONFIG,
    /// name of a profile in the profile directory
    profile: PROFILE,
    /// profile file, ending with .yaml
    profile_file: PROFILE_FILE,
    /// directory of profiles
    profile_dir: PROFILE_DIR,
    /// control plane URL; its path is ignored
    control_plane_base_url: BASE_URL,
    /// path in front of every control plane route
    control_plane_url_path: URL_PATH,
    /// tunnel id
    control_plane_tunnel_id: TUNNEL_ID,
    /// organization id
    control_plane_organization_id: ORGANIZATION_ID,
    /// reference to the API key: env:NAME, file:/path or credential:NAME
    control_plane_api_key: API_KEY,
    /// client certificate for the control plane
    control_plane_client_cert: CONTROL_CLIENT_CERT,
    /// key of the client certificate
    control_plane_client_key: CONTROL_CLIENT_KEY,
    /// proxy for the control plane: http(s) URL, env:, file: or credential:
    control_plane_http_proxy: CONTROL_HTTP_PROXY,
    /// commands that may wait, 1 to 10000
    control_plane_max_inflight: MAX_INFLIGHT,
    /// how long a poll may wait, such as 30s
    control_plane_poll_timeout: POLL_TIMEOUT,
    /// added to the poll timeout for the deadline of a request
    control_plane_poll_deadline_guardrail: POLL_GUARDRAIL,
    /// poll for this channel only; may be repeated
    control_plane_poll_channel: POLL_CHANNELS,
    /// "Key: Value" for the control plane; may be repeated
    control_plane_extra_headers: CONTROL_EXTRA_HEADERS,
    /// PEM file with additional trust anchors
    ca_bundle: CA_BUNDLE,
    /// proxy for everything that has none of its own
    http_proxy: HTTP_PROXY,
    /// debug, info, warn or error
    log_level: LOG_LEVEL,
    /// struct-text, text or json
    log_format: LOG_FORMAT,
    /// append the log to this file
    log_file: LOG_FILE,
    /// refused; only false is accepted
    log_http_raw_unsafe: LOG_HTTP_RAW_UNSAFE,
    /// address of the health listener (no effect yet)
    health_listen_addr: HEALTH_LISTEN_ADDR,
    /// socket of the health listener (no effect yet)
    health_unix_socket: HEALTH_UNIX_SOCKET,
    /// file for the URL of the health listener (no effect yet)
    health_url_file: HEALTH_URL_FILE,
    /// detail of the health answers (no effect yet)
    health_show_details: HEALTH_SHOW_DETAILS,
    /// file for the process id (no effect yet)
    pid_file: PID_FILE,
    /// URL of an MCP server, or channel=,url=; may be repeated
    mcp_server_url: MCP_SERVER_URLS,
    /// command of an MCP server, or channel=,command=; may be repeated
    mcp_command: MCP_COMMANDS,
    /// proxy for MCP servers that have none of their own
    mcp_http_proxy: MCP_HTTP_PROXY,
    /// client certificate for MCP servers
    mcp_client_cert: MCP_CLIENT_CERT,
    /// key of the client certificate
    mcp_client_key: MCP_CLIENT_KEY,
    /// "Key: Value" for MCP servers; may be repeated
    mcp_extra_headers: MCP_EXTRA_HEADERS,
    /// "Key: Value" for discovery; may be repeated (no effect yet)
    mcp_discovery_extra_headers: MCP_DISCOVERY_EXTRA_HEADERS,
    /// how long to wait for the MCP server at start (no effect yet)
    mcp_startup_wait_timeout: MCP_STARTUP_WAIT_TIMEOUT,
    /// bound on one call, such as 10m
    mcp_connection_max_ttl: MCP_CONNECTION_MAX_TTL,
    /// calls in progress per channel
    mcp_max_concurrent_requests: MCP_MAX_CONCURRENT,
    /// send notifications/initialized to stdio servers
    mcp_stdio_send_initialized_notification: MCP_STDIO_INITIALIZED,
    /// harpoon target (not supported yet)
    harpoon_target: HARPOON_TARGETS,
    /// plain http for harpoon (no effect yet)
    harpoon_allow_plaintext_http: HARPOON_ALLOW_PLAINTEXT,
    /// bound on a harpoon answer (no effect yet)
    harpoon_max_response_bytes: HARPOON_MAX_RESPONSE,
    /// bound on harpoon redirects (no effect yet)
    harpoon_max_redirects: HARPOON_MAX_REDIRECTS,
    /// proxy for harpoon (not supported yet)
    harpoon_http_proxy: HARPOON_HTTP_PROXY,
    /// additional transport of harpoon (not supported yet)
    harpoon_additional_transport: HARPOON_ADDITIONAL_TRANSPORTS,
    /// hosts by suffix (no effect yet)
    harpoon_hosts_include_suffix: HARPOON_HOSTS_SUFFIX,
    /// hosts by pattern (no effect yet)
    harpoon_hosts_include_regex: HARPOON_HOSTS_REGEX,
    /// hosts on loopback (no effect yet)
    harpoon_hosts_include_loopback: HARPOON_HOSTS_LOOPBACK,
    /// hosts with private addresses (no effect yet)
    harpoon_hosts_include_private: HARPOON_HOSTS_PRIVATE,
    /// pause between proxy checks
    proxy_check_interval: PROXY_CHECK_INTERVAL,
}
