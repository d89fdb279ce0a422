//! The command line: subcommands, flags and help.
//!
//! Pure: arguments in, intention out. Options are all repeatable here, so that a flag given twice behaves as with
//! `tunnel-client` (the last one wins, lists grow) and no error quotes a value.

use argh::FromArgs;

use super::confinement::Wanted;
use super::policy::PolicyCommand;
use crate::config::{Flags, argv, keys};

/// What a command line asks for.
#[derive(Debug)]
pub enum Cli {
    /// Run the agent.
    Run(Flags),
    /// Check the configuration that `run` would use.
    ConfigCheck(Flags),
    /// Say what is enforced.
    Confinement(Wanted),
    /// Check or ask a call policy.
    Policy(PolicyCommand),
    /// Be the worker of a broker.
    Worker,
    /// Ask MCP servers what they offer.
    Survey,
    /// Attempt what is forbidden.
    Probe,
    /// Be a stdio MCP server.
    Launch(Launch),
    /// Print this and be content.
    Print(String),
    /// Print this and complain.
    Usage(String),
}

/// tunnelward: a hardened agent for the Secure MCP Tunnel.
#[derive(FromArgs)]
struct Top {
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Sub>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Sub {
    Run(RunFlags),
    Config(ConfigCommand),
    Confinement(ConfinementFlags),
    Policy(PolicyCommand),
    Version(VersionCommand),
}

/// print the version
#[derive(FromArgs)]
#[argh(subcommand, name = "version")]
struct VersionCommand {}

/// look at the configuration
#[derive(FromArgs)]
#[argh(subcommand, name = "config")]
struct ConfigCommand {
    #[argh(subcommand)]
    command: ConfigSub,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum ConfigSub {
    Check(CheckFlags),
}

/// start one stdio MCP server
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "launch")]
pub struct Launch {
    /// socket on which the broker says what to become, and hears why that failed
    #[argh(option)]
    pub fd: i32,
    /// channel of the server, for those who look at processes
    #[argh(positional)]
    pub channel: String,
}

/// Three subcommands with the same flags; the parser has no way to share them.
macro_rules! flags {
    ($($(#[$doc:meta])* $field:ident: $key:ident,)*) => {
        /// run the agent
        #[derive(FromArgs)]
        #[argh(subcommand, name = "run", usage = "[flags]")]
        struct RunFlags {
            $($(#[$doc])* #[argh(option, arg_name = "value")] $field: Vec<String>,)*
        }

        /// check the configuration that run would use
        #[derive(FromArgs)]
        #[argh(subcommand, name = "check", usage = "[flags]")]
        struct CheckFlags {
            $($(#[$doc])* #[argh(option, arg_name = "value")] $field: Vec<String>,)*
        }

        /// show what each process may do on this kernel, as processes that are really confined report it; exit 0 only
        /// if everything that should be denied is denied, else 70, and 69 if the kernel lacks what is required
        #[derive(FromArgs)]
        #[argh(subcommand, name = "confinement", usage = "[--probe] [--json] [flags of run]")]
        struct ConfinementFlags {
            /// attempt everything that is forbidden, and show the answers
            #[argh(switch)]
            probe: bool,
            /// print JSON (version 1 of its shape) instead of text
            #[argh(switch)]
            json: bool,
            $($(#[$doc])* #[argh(option, arg_name = "value")] $field: Vec<String>,)*
        }

        impl From<ConfinementFlags> for Wanted {
            fn from(given: ConfinementFlags) -> Self {
                let mut flags = Flags::default();
                $(for value in given.$field { flags.add(keys::$key.flag, value); })*
                Self { flags, json: given.json, probe: given.probe }
            }
        }

        impl From<RunFlags> for Flags {
            fn from(given: RunFlags) -> Self {
                let mut flags = Self::default();
                $(for value in given.$field { flags.add(keys::$key.flag, value); })*
                flags
            }
        }

        impl From<CheckFlags> for Flags {
            fn from(given: CheckFlags) -> Self {
                let mut flags = Self::default();
                $(for value in given.$field { flags.add(keys::$key.flag, value); })*
                flags
            }
        }
    };
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
    /// client certificate for the control plane (not supported yet)
    control_plane_client_cert: CONTROL_CLIENT_CERT,
    /// key of the client certificate (not supported yet)
    control_plane_client_key: CONTROL_CLIENT_KEY,
    /// proxy for the control plane (not supported yet)
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
    /// proxy for everything (not supported yet)
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
    /// proxy for MCP servers (not supported yet)
    mcp_http_proxy: MCP_HTTP_PROXY,
    /// client certificate for MCP servers (not supported yet)
    mcp_client_cert: MCP_CLIENT_CERT,
    /// key of the client certificate (not supported yet)
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
    /// pause between proxy checks (no effect yet)
    proxy_check_interval: PROXY_CHECK_INTERVAL,
}

/// Understands the arguments, without the program's name.
#[must_use]
pub fn parse(arguments: &[String]) -> Cli {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["worker"] => return Cli::Worker,
        ["survey"] => return Cli::Survey,
        ["probe"] => return Cli::Probe,
        ["launch", rest @ ..] => return launch(rest),
        ["-h"] | [] => return top(&["--help"]),
        _ => {}
    }
    // Where the flags of the table begin; everything before is for the parser alone.
    let start = match words.as_slice() {
        ["run", ..] => 1,
        ["sandbox", rest @ ..] => {
            let confinement = std::iter::once("confinement").chain(rest.iter().copied());
            return parse(&confinement.map(str::to_string).collect::<Vec<_>>());
        }
        ["confinement", ..] => {
            // These two are not of the table.
            let own = |word: &&str| matches!(*word, "--probe" | "--json");
            let (own, rest): (Vec<&str>, Vec<&str>) = words.iter().copied().partition(own);
            let rest: Vec<String> = rest.iter().skip(1).map(|word| (*word).to_string()).collect();
            return normalised(&[&["confinement"], &own[..]].concat(), &rest);
        }
        ["config", "check", ..] => 2,
        _ => return top(&words),
    };
    let (command, flags) = arguments.split_at(start.min(arguments.len()));
    normalised(&command.iter().map(String::as_str).collect::<Vec<_>>(), flags)
}

/// Understands a command whose flags are those of the table.
fn normalised(command: &[&str], flags: &[String]) -> Cli {
    match argv::normalise(flags) {
        Ok(flags) => {
            top(&command.iter().copied().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>())
        }
        Err(error) => {
            let name =
                command.iter().filter(|word| !word.starts_with('-')).copied().collect::<Vec<_>>().join(" ");
            Cli::Usage(format!("{error}\n\nRun tunnelward {name} --help for the flags."))
        }
    }
}

fn top(words: &[&str]) -> Cli {
    let version = || Cli::Print(format!("tunnelward {}", env!("CARGO_PKG_VERSION")));
    match Top::from_args(&["tunnelward"], words) {
        Ok(Top { version: true, .. }) => version(),
        Ok(Top { command: Some(Sub::Version(VersionCommand {})), .. }) => version(),
        Ok(Top { command: Some(Sub::Run(flags)), .. }) => Cli::Run(flags.into()),
        Ok(Top {
            command: Some(Sub::Config(ConfigCommand { command: ConfigSub::Check(flags) })), ..
        }) => Cli::ConfigCheck(flags.into()),
        Ok(Top { command: Some(Sub::Confinement(flags)), .. }) => Cli::Confinement(flags.into()),
        Ok(Top { command: Some(Sub::Policy(command)), .. }) => Cli::Policy(command),
        Ok(Top { command: None, .. }) => Cli::Usage("a command is needed; run tunnelward --help".into()),
        Err(early) => early_exit(early),
    }
}

fn launch(words: &[&str]) -> Cli {
    match Launch::from_args(&["tunnelward", "launch"], words) {
        Ok(launch) => Cli::Launch(launch),
        Err(early) => early_exit(early),
    }
}

fn early_exit(early: argh::EarlyExit) -> Cli {
    match early.status {
        Ok(()) => Cli::Print(early.output),
        Err(()) => Cli::Usage(early.output),
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
