//! The text of a profile. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Answers, Init};
use crate::config::Host;
use crate::policy;

/// The samples of `tunnel-client`, and what each is for.
pub const SAMPLES: [(&str, &str); 4] = [
    ("sample_mcp_with_dcr", "an MCP server over HTTP; clients may register with its authorization server"),
    ("sample_mcp_stdio_local", "an MCP server that is started by command, on this machine"),
    ("sample_mcp_remote_no_auth", "an MCP server over HTTP that asks for no authorization"),
    (PROXIED, "an MCP server over HTTP, on a network whose way out is a proxy that opens TLS"),
];
const PROXIED: &str = "sample_mcp_enterprise_proxy";
/// What the proxied sample refers to.
const PROXY_VARIABLES: [&str; 2] = ["ENTERPRISE_CA_BUNDLE", "HTTPS_PROXY"];
/// The account that is meant when none is named.
const ACCOUNT: &str = "tunnelward";
/// Whom the agent becomes where there is no such account: a number that nobody hands out
/// (<https://systemd.io/UIDS-GIDS>, between those of home directories and of dynamic users).
const NOBODYS: u32 = 60_999;

/// The MCP server of channel `main`.
pub enum Server {
    /// At this URL.
    Url(String),
    /// Started by this command.
    Command(String),
}

/// The variables that a sample refers to.
pub fn variables(sample: &str) -> &'static [&'static str] {
    if sample == PROXIED { &PROXY_VARIABLES } else { &[] }
}

/// The user to name, where root makes the profile and the one that is meant does not exist.
pub fn user(host: Host<'_>) -> Option<u32> {
    (host.is_root() && host.accounts.user(ACCOUNT).is_none()).then_some(NOBODYS)
}

/// The profile. For the check, what refers to variables that are not set yet is left out unless it is to be `complete`.
pub fn render(
    init: &Init,
    answers: &Answers,
    policy_file: &Path,
    user: Option<u32>,
    (complete, env): (bool, &BTreeMap<String, String>),
) -> String {
    let quoted = |text: &str| {
        let mut out = String::new();
        policy::string(text, &mut out);
        out
    };
    let Answers { sample, tunnel_id, server, key, .. } = answers;
    let what = SAMPLES.iter().find(|(name, _)| name == sample).map_or("", |(_, what)| what);
    let mut text = format!(
        "# {sample}: {what}.\n# The README of tunnelward explains every key; `tunnelward doctor` says whether this works.\nconfig_version: 1\n"
    );
    let there = |name: &str| complete || env.contains_key(name);
    if *sample == PROXIED && there(PROXY_VARIABLES[0]) {
        text.push_str("# PEM file with the authorities that sign what the proxy shows.\nca_bundle: env:ENTERPRISE_CA_BUNDLE\n");
    }
    if *sample == PROXIED && there(PROXY_VARIABLES[1]) {
        text.push_str("# For everything that has no proxy of its own.\nhttp_proxy: env:HTTPS_PROXY\n");
    }
    let base = init.control_plane_base_url.as_deref().unwrap_or("https://api.openai.com");
    text.push_str(&format!("control_plane:\n  base_url: {}\n", quoted(base)));
    if let Some(path) = &init.control_plane_url_path {
        text.push_str(&format!("  url_path: {}\n", quoted(path)));
    }
    text.push_str(&format!(
        "  tunnel_id: {}\n  # Where the key is, never the key: env:NAME, file:/path, or credential:NAME under systemd.\n  api_key: {}\nmcp:\n",
        quoted(tunnel_id),
        quoted(key)
    ));
    match server {
        Server::Url(url) => {
            text.push_str(&format!("  server_urls:\n    - {{channel: main, url: {}}}\n", quoted(url)));
        }
        Server::Command(command) => text.push_str(&format!(
            "  commands:\n    - channel: main\n      command: {}\n      # What the server may touch besides itself and the system's libraries:\n      \
             #confinement: {{read: [/srv/data], write: [], tcp_ports: []}}\n      # Variables of the agent that it gets too:\n      #pass_env: []\n",
            quoted(command)
        )),
    }
    let health = init.health_listen_addr.as_deref().unwrap_or("127.0.0.1:8080");
    text.push_str(&format!(
        "health:\n  listen_addr: {}\nadmin_ui:\n  open_browser: false\nlog:\n  level: info\n  format: json\n",
        quoted(health)
    ));
    if let Some(user) = user {
        text.push_str(&format!(
            "# Whom the agent becomes, as there was no account {ACCOUNT} when this was written.\nconfinement:\n  user: \"{user}\"\n"
        ));
    }
    text.push_str(&format!(
        "# Which calls may reach the MCP server; without it all may. Read the file before you take the # off.\n#policy: {}\n\
         # A record of every call; `tunnelward audit init DIRECTORY` begins it.\n#audit: {{path: /var/log/tunnelward/audit}}\n",
        quoted(&format!("file:{}", policy_file.display()))
    ));
    text
}
