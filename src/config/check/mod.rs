//! From layers to [`Config`]: every rule of the configuration, and all that breaks one reported at once.
//!
//! Broker only. Each part takes what it needs from the [`Sources`], leaves problems and warnings there, and goes
//! on with a default.

mod again;
mod audit;
mod bindings;
mod child;
mod commands;
mod confinement;
mod control;
mod downloads;
mod endpoints;
mod granted;
mod headers;
mod health;
mod installed;
mod log;
mod policy;
mod program;
mod proxy;
mod rest;
mod runs;
mod standing;
mod system;
mod tls;
mod withheld;

use super::health::Health;
use super::peer::Peer;
use super::problem::{Place, Problem};
use super::sources::Sources;
use super::types::{Binding, Channel, Command, Config, HttpUrl, Transport, Worker};
use super::{Roots, keys};

/// Most channels that can be declared; one more is kept for the reserved one.
const MAX_CHANNELS: usize = 31;
/// Longest `X-Tunnel-MCP-Server-Info` that the control plane takes, in bytes.
const MAX_SERVER_INFO: usize = 4096;

/// Checks everything.
pub fn config(mut sources: Sources<'_>) -> Result<Config, Vec<Problem>> {
    let s = &mut sources;
    standing::check(s);
    let key = control::api_key(s);
    let proxies = proxy::Proxies::read(s);
    let (mut bindings, unix_sockets, http_errors) = bindings::http(s, &proxies);
    let key_variable = key.as_ref().and_then(|k| k.variable.clone());
    let (stdio, drafts, stdio_errors) = commands::stdio(s, &bindings, key_variable.as_deref());
    bindings.extend(stdio);
    let poll_channels = control::poll_channels(s);
    if !http_errors && !stdio_errors {
        routes(s, &bindings, poll_channels.as_deref());
    }
    let ca_pem = tls::ca_bundle(s);
    let tls = tls::tls(s);
    let control = control::control(s, key, poll_channels, ca_pem.is_some(), &proxies);
    let mcp = rest::mcp(s);
    let limits = rest::limits(s);
    let proxy_check_interval = proxy::check_interval(s);
    let proxy_peer = Peer { identity: tls::proxy_identity(s), ..Peer::default() };
    let log = log::log(s);
    let (health, answers) = health::health(s);
    let stop = rest::stop(s);
    let restart = rest::restart(s);
    let confinement = confinement::confinement(s);
    let reload_interval = again::interval(s);
    again::secrets(s, confinement.identity);
    let audit = audit::audit(s);
    let policy = policy::policy(s, &bindings);
    let commands = child::commands(s, drafts, key_variable.as_deref());
    if let Some(control) = control.filter(|_| sources.problems.is_empty()) {
        let worker = Worker {
            control,
            bindings,
            mcp,
            limits,
            ca_pem,
            tls,
            proxy_peer,
            proxy_check_interval,
            log_level: log.level,
            require: confinement.require,
            audit: audit.is_some(),
            policy,
            health: answers,
        };
        return Ok(Config {
            worker,
            commands,
            unix_sockets,
            log,
            stop,
            restart,
            confinement,
            audit,
            health,
            file_sha256: sources.file.as_ref().map(|file| file.sha256),
            own_files: sources.own.paths(),
            files: sources.read.paths().clone(),
            readable: again::places(&sources),
            reload_interval,
            warnings: sources.warnings,
        });
    }
    Err(sources.problems)
}

/// Checks what says whom to believe.
pub fn roots(mut sources: Sources<'_>, target: &HttpUrl) -> Result<Roots, Vec<Problem>> {
    let s = &mut sources;
    let ca_pem = tls::ca_bundle(s);
    let bundle_only = s.truth(&keys::CONTROL_BUNDLE_ONLY, false);
    let (tls, pins, control) = (tls::tls(s), tls::control_pins(s), control::origin(s));
    let require = confinement::require(s);
    let proxies = proxy::Proxies::read(s);
    let is_control = control.as_ref().is_some_and(|control| control.is_at(target));
    let route = if is_control { proxies.control(s, target) } else { proxies.mcp(s, target) };
    let proxy_peer = Peer { identity: tls::proxy_identity(s), ..Peer::default() };
    let roots = Roots { ca_pem, bundle_only, tls, require, pins, is_control, route, proxy_peer };
    if sources.problems.is_empty() { Ok(roots) } else { Err(sources.problems) }
}

/// Checks what says where health is answered for.
pub fn listener(mut sources: Sources<'_>) -> Result<Health, Vec<Problem>> {
    let (health, _) = health::health(&mut sources);
    if sources.problems.is_empty() { Ok(health) } else { Err(sources.problems) }
}

/// What takes a flag or line of a setting apart whose entries are maps in the file.
pub fn line(key: &keys::Key) -> Option<bindings::Line> {
    match *key {
        keys::MCP_SERVER_URLS => Some(bindings::line),
        keys::MCP_COMMANDS => Some(commands::line),
        _ => None,
    }
}

/// The paths of the members of entries and of a policy, where something reads them.
#[cfg(test)]
pub fn members() -> Vec<String> {
    let policy = crate::policy::paths();
    let lists: [(&str, &[&str]); 3] = [
        ("mcp.server_urls[]", &bindings::MEMBERS),
        ("mcp.commands[]", &commands::MEMBERS),
        ("mcp.commands[].confinement", &granted::MEMBERS),
    ];
    let below = |(prefix, names): &(&str, &[&str])| {
        names.iter().map(|name| format!("{prefix}.{name}")).collect::<Vec<_>>()
    };
    lists.iter().flat_map(below).chain(policy.into_iter().map(|path| format!("policy.{path}"))).collect()
}

/// Why a command that can be started cannot do its work, and how to mend it: a script that is not there, an interpreter.
pub fn preflight(command: &Command) -> Option<(String, String)> {
    let path = command.env.get("PATH").map(String::as_str).unwrap_or_default();
    runs::missing(&command.argv, path, &command.cwd).map(|missing| (missing.why, missing.fix))
}

/// What can only be said of all bindings together.
fn routes(s: &mut Sources<'_>, bindings: &[Binding], polled: Option<&[Channel]>) {
    let flag = Place::named(format!("--{}", keys::POLL_CHANNELS.flag));
    let place = s.flag(&keys::POLL_CHANNELS).or_else(|| s.env(&keys::POLL_CHANNELS)).map(|g| g.place);
    let place = place.or_else(|| s.node(&keys::POLL_CHANNELS).map(|n| n.0)).unwrap_or(flag);
    let has = |channel: &Channel| bindings.iter().any(|b| b.channel == *channel);
    for channel in polled.unwrap_or_default().iter().filter(|c| !has(c)) {
        let why = match channel.as_str() {
            "main" => "control-plane.poll-channel main has no local MCP handler".to_string(),
            "harpoon" => "control-plane.poll-channel harpoon has no routable target".to_string(),
            other => format!("control-plane.poll-channel \"{other}\" has no local handler"),
        };
        s.refuse(
            Problem::new(&place, why).hint("configure an MCP server for the channel or take it off the list"),
        );
    }
    if polled.is_none() && !has(&Channel::main()) {
        let (place, why) = if bindings.is_empty() {
            let why = "main channel is required; set --mcp.server-url or --mcp.command, or MCP_SERVER_URL or MCP_COMMAND";
            (Place::named("mcp"), why)
        } else {
            let why =
                "main channel is required; add channel=main to one --mcp.server-url or --mcp.command entry";
            (Place::named("mcp"), why)
        };
        s.refuse(Problem::new(&place, why));
    }
    let declared: Vec<&Binding> =
        bindings.iter().filter(|b| polled.is_none_or(|p| p.contains(&b.channel))).collect();
    if bindings.len() > MAX_CHANNELS {
        let why = format!("at most {MAX_CHANNELS} channels can be configured");
        s.refuse(Problem::new(&Place::named("mcp"), why).found(bindings.len().to_string()));
    } else if server_info_len(&declared) > MAX_SERVER_INFO {
        let why = format!("the channels need more than {MAX_SERVER_INFO} bytes in X-Tunnel-MCP-Server-Info");
        s.refuse(Problem::new(&Place::named("mcp"), why).hint("use fewer channels or shorter names"));
    }
}

/// Length of the header that declares these channels, in the longer of its versions.
fn server_info_len(bindings: &[&Binding]) -> usize {
    let one = |b: &&Binding| {
        let affinity = matches!(b.transport, Transport::Stdio { .. });
        // Member, quotes, braces and the comma: {"name":"…","stateless":true,"proc_affinity":true},
        12usize
            .saturating_add(b.channel.as_str().len())
            .saturating_add(if b.stateless { 17 } else { 0 })
            .saturating_add(if affinity { 21 } else { 0 })
    };
    bindings.iter().map(one).fold(r#"{"version":2,"channels":[]}"#.len(), usize::saturating_add)
}

#[cfg(test)]
mod tests;
