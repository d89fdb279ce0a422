//! The checks of what is set: where it comes from, what is wrong with it, and the values that people look for.

use super::{Case, advice};
use crate::config::keys;
use crate::config::route::{Proxy, Via};
use crate::config::types::{Config, Transport};
use crate::config::{Problem, preflight};

/// Pages of the control plane's owner, for people.
const PAGES: [(&str, &str); 4] = [
    ("tunnels_management_url", TUNNELS),
    ("runtime_api_keys_url", KEYS),
    ("admin_api_keys_url", "https://platform.openai.com/settings/organization/admin-keys"),
    ("chatgpt_connector_settings_url", "https://chatgpt.com/#settings/Connectors"),
];
/// Where keys for agents are made.
pub const KEYS: &str = "https://platform.openai.com/api-keys";
/// Where tunnels are made and permissions on them are given.
pub const TUNNELS: &str = "https://platform.openai.com/settings/organization/tunnels";

/// Where the configuration comes from.
pub fn source(case: &mut Case<'_>, found: bool) {
    let from = match case.file {
        _ if !found => "a file that is not there".into(),
        Some(file) => file.display().to_string(),
        None => "flags and environment".into(),
    };
    case.report.pass("config_source", from);
}

/// One finding for each check that problems belong to.
pub fn problems(case: &mut Case<'_>, problems: &[Problem]) {
    for problem in problems {
        let id = advice::check_of(problem);
        if case.report.has(id) {
            continue;
        }
        let target = case.target();
        let all: Vec<&Problem> = problems.iter().filter(|other| advice::check_of(other) == id).collect();
        let evidence: Vec<String> = all.iter().map(ToString::to_string).collect();
        let next: Vec<String> = all.iter().map(|problem| advice::next(problem, target)).collect();
        let why = "the configuration breaks a rule, and nothing starts with it";
        case.report.fail(id, &problem.expected, [why, &evidence.join("\n"), &next.join("\n")]);
    }
}

/// The values, as far as they are in order.
pub fn all(case: &mut Case<'_>, config: Option<&Config>) {
    match case.file {
        _ if case.report.has("profile_load") => {}
        Some(_) => case.report.pass("profile_load", "read"),
        None => case.report.skip(
            "profile_load",
            "no file is named",
            "run: tunnelward init --tunnel-id <TUNNEL_ID> --mcp-server-url <MCP_URL>",
        ),
    }
    if !case.report.has("tunnel_id")
        && let Some(said) = case.peek.one(&keys::TUNNEL_ID)
    {
        case.report.pass("tunnel_id", said.text.expose().trim());
    }
    if !case.report.has("control_plane_api_key") {
        let said = case.peek.one(&keys::API_KEY);
        let shown = match &said {
            Some(said) => match said.reference() {
                Some(reference) => reference.to_owned(),
                None if said.in_file => "in the file itself".to_owned(),
                None => format!("env:{}", said.place),
            },
            None => "env:OPENAI_API_KEY".to_owned(),
        };
        if said.is_some() || config.is_some() {
            case.report.pass("control_plane_api_key", shown);
        }
        if let Some(said) = said.filter(|said| said.reference().is_none()) {
            case.report.hide(said.text.expose().trim());
        }
    }
    for (id, page) in PAGES {
        case.report.pass(id, page);
    }
    if let Some(config) = config {
        target(case, config);
        commands(case, config);
    }
    case.report.skip("ui", "there is no user interface", "");
    case.report.skip("codex_plugin", "there is no plugin", "");
}

/// Where each channel leads: origins only, since paths and queries may hold what is nobody's business.
fn target(case: &mut Case<'_>, config: &Config) {
    let shown = config.worker.bindings.iter().map(|binding| match &binding.transport {
        Transport::Http { url, route, .. } => {
            let uri = url.uri();
            let authority = uri.authority().map_or("", http::uri::Authority::as_str);
            let way = match &route.via {
                Via::Direct => String::new(),
                Via::Proxy(_) => format!(" by {}", route.proxy().map(Proxy::shown).unwrap_or_default()),
                Via::Unix { .. } => " over a Unix socket".into(),
            };
            format!("{}: {}://{authority}{way}", binding.channel, uri.scheme_str().unwrap_or_default())
        }
        Transport::Stdio { index, .. } => {
            let program = config.commands.get(usize::from(*index)).and_then(|command| command.argv.first());
            format!("{}: {}", binding.channel, program.map_or("", String::as_str))
        }
    });
    let shown: Vec<String> = shown.collect();
    case.report.pass("mcp_target", shown.join(", "));
}

/// Whether the programs are there, with what they run. That they can be started at all, the configuration has checked.
fn commands(case: &mut Case<'_>, config: &Config) {
    let id = "mcp_command_executable";
    for (n, command) in config.commands.iter().enumerate() {
        let Some((why, fix)) = preflight(command) else { continue };
        let chmod = fix.strip_prefix("fix: chmod +r ").map(|path| advice::run("chmod +r", path));
        let key = entry(case, &keys::MCP_COMMANDS, n, "command");
        let step = chmod.unwrap_or_else(|| case.target().change(&key, "<MCP_COMMAND>"));
        let summary = format!("{}: {why}; {fix}", command.channel);
        let cause = "the program can be started, but it would end at once";
        case.report.fail(id, &summary, [cause, &summary, &format!("{step}\n{fix}")]);
        return;
    }
    if !config.commands.is_empty() {
        let found = config.commands.iter().filter_map(|command| command.argv.first().cloned());
        case.report.pass(id, found.collect::<Vec<_>>().join(", "));
    }
}

/// The name of a member of an entry: its place in the file, or the flag that gave it.
pub fn entry(case: &Case<'_>, key: &keys::Key, n: usize, member: &str) -> String {
    if case.peek.is_in_file(key) { format!("{}[{n}].{member}", key.yaml) } else { format!("--{}", key.flag) }
}
