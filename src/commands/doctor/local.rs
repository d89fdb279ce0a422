//! The checks of a configuration that can be used, as far as they need no peer.

use std::os::unix::fs::MetadataExt as _;
use std::time::SystemTime;

use super::settings::entry;
use super::{Case, advice, trust};
use crate::audit::open::state_of;
use crate::config::keys;
use crate::config::types::{Config, Transport};
use crate::log::Level;
use crate::policy::{self, Mode};
use crate::tls;

/// Permission of everybody to write, and to read.
const OTHERS_WRITE: u32 = 0o002;

/// All of them.
pub fn all(case: &mut Case<'_>, config: &Config) {
    warnings(case, config);
    files(case, config);
    certificates(case, config);
    call_policy(case, config);
    audit(case, config);
    withheld(case, config);
}

fn warnings(case: &mut Case<'_>, config: &Config) {
    let text = if config.warnings.is_empty() { "none".into() } else { config.warnings.join("; ") };
    case.report.pass("warnings", text);
}

/// Whom the agent becomes.
fn user(case: &Case<'_>, config: &Config) -> (u32, u32) {
    config
        .confinement
        .identity
        .map_or((case.host.uid, case.host.gid), |identity| (identity.uid, identity.gid))
}

/// Files that others can change, secrets that others can read, and files that a reload could not read.
fn files(case: &mut Case<'_>, config: &Config) {
    let id = "file_permissions";
    let (uid, gid) = user(case, config);
    for path in &config.files {
        let Ok(found) = path.metadata() else { continue };
        let shown = path.display().to_string();
        let bit = match (found.uid() == uid, found.gid() == gid) {
            (true, _) => 0o400,
            (false, true) => 0o040,
            (false, false) => 0o004,
        };
        let fault = if found.mode() & OTHERS_WRITE != 0 {
            Some(("every user can change it", advice::run("chmod o-w", &shown)))
        } else if uid != 0 && found.mode() & bit == 0 {
            let why = "the agent's user cannot read it again when the configuration is reloaded";
            Some((why, advice::run(&format!("chown {uid}"), &shown)))
        } else {
            None
        };
        if let Some((why, next)) = fault {
            let evidence =
                format!("owner {}, group {}, mode {:04o}", found.uid(), found.gid(), found.mode() & 0o7777);
            return case.report.fail(id, &format!("{shown}: {why}"), [why, &evidence, &next]);
        }
    }
    let readable = config.warnings.iter().find_map(|warning| {
        let (path, _) = warning.strip_prefix("file ")?.split_once(" referenced by ")?;
        warning.contains("can be read by every user").then_some((warning, path))
    });
    if let Some((warning, path)) = readable {
        let why = "a secret lies open to every user of the machine";
        let next = advice::run("chmod o-r", path);
        return case.report.fail(id, &format!("{path}: {why}"), [why, warning, &next]);
    }
    case.report.pass(id, format!("{} files are the agent's alone to change", config.files.len()));
}

fn certificates(case: &mut Case<'_>, config: &Config) {
    let id = "certificates";
    if let Err(problems) = trust(config) {
        let first = problems.first().map(String::as_str).unwrap_or_default();
        let (name, what) = first.split_once(": ").unwrap_or((first, ""));
        let next = match what.split_once("client_cert_fingerprint; found ") {
            Some((_, found)) => case.target().set(keys::CONTROL_FINGERPRINT.yaml, found),
            None if name.contains("client_cert") => {
                let certificate = case.target().set(name, "<CLIENT_CERT>");
                let key = case.target().set(&name.replace("client_cert", "client_key"), "<CLIENT_KEY>");
                format!("{certificate}\n{key}")
            }
            None => case.target().set(name.rsplit(' ').next().unwrap_or(name), "<CA_BUNDLE>"),
        };
        let why = "no peer could accept what would be shown, or nobody would be believed";
        return case.report.fail(id, first, [why, &problems.join("\n"), &next]);
    }
    let http = config.worker.bindings.iter().filter_map(|binding| match &binding.transport {
        Transport::Http { peer, .. } => Some(&**peer),
        Transport::Stdio { .. } => None,
    });
    let own = [&config.worker.control.peer, &config.worker.proxy_peer];
    let mut lasting: Vec<String> = own
        .into_iter()
        .chain(http)
        .filter_map(|peer| peer.identity.as_ref())
        .filter_map(|own| {
            Some(format!("{}: {} days left", own.name, tls::days_left(own, SystemTime::now())?))
        })
        .collect();
    lasting.dedup();
    let text = if lasting.is_empty() { "none of our own".into() } else { lasting.join(", ") };
    case.report.pass(id, text);
}

fn call_policy(case: &mut Case<'_>, config: &Config) {
    let text = match config.worker.policy.as_deref().and_then(|text| policy::load(text, None).ok()) {
        None => "none: everything that the MCP servers offer may be called".into(),
        Some(policy) => {
            let mode = if policy.mode == Mode::Monitor { "monitor: nothing is refused" } else { "enforce" };
            format!("{} rules, {mode}", policy.rules.len())
        }
    };
    case.report.pass("policy", text);
}

fn audit(case: &mut Case<'_>, config: &Config) {
    let id = "audit";
    let Some(audit) = &config.audit else {
        return case.report.pass(id, "none: calls are not recorded");
    };
    let shown = audit.path.display().to_string();
    let (uid, _) = user(case, config);
    let owner = if case.host.is_root() { format!(" --owner {uid}") } else { String::new() };
    let begin = format!("{}{owner}", advice::run("tunnelward audit init", &shown));
    let why = "without its audit log nothing starts";
    match state_of(&audit.path) {
        Ok(_) => {}
        Err(_) if audit.key.is_some() && !audit.path.join("state").exists() => {
            return case.report.pass(id, format!("{shown}: begins with the first start"));
        }
        Err(e) => {
            let there = std::fs::read_dir(&audit.path).is_ok_and(|mut entries| entries.next().is_some());
            let next = if there {
                format!("{} {}.damaged\n{begin}", advice::run("mv", &shown), shown)
            } else {
                begin
            };
            return case.report.fail(id, &format!("{shown}: {e}"), [why, &e.to_string(), &next]);
        }
    }
    let theirs = audit.path.metadata().map(|found| found.uid()).ok().filter(|owner| *owner != uid);
    if let Some(theirs) = theirs {
        let next = advice::run(&format!("chown -R {uid}"), &shown);
        let evidence = format!("it belongs to user {theirs}, and the agent is user {uid}");
        return case.report.fail(id, &format!("{shown} is somebody else's"), [why, &evidence, &next]);
    }
    case.report.pass(id, shown);
}

/// What a stdio server would miss that its command names.
fn withheld(case: &mut Case<'_>, config: &Config) {
    let id = "stdio_preflight";
    if config.commands.is_empty() {
        return case.report.skip(id, "no server is started by command", "");
    }
    let mut notes = Vec::new();
    for (n, command) in config.commands.iter().enumerate() {
        for withheld in &command.withheld {
            let sentence = &withheld.sentence;
            // The program itself can be run then.
            if withheld.level != Level::Warn || sentence.starts_with("only ") {
                notes.push(format!("{}: {sentence}", command.channel));
                continue;
            }
            let next = grant(case, n, sentence);
            let summary = format!("{}: {sentence}", command.channel);
            let why = "tunnel-client would have given the server this, and here its entry does not grant it";
            return case.report.fail(id, &summary, [why, sentence, &next]);
        }
    }
    let text = if notes.is_empty() { "nothing that is named is withheld".into() } else { notes.join("; ") };
    case.report.pass(id, text);
}

/// The step that grants what a sentence says how to grant.
fn grant(case: &Case<'_>, n: usize, sentence: &str) -> String {
    let line = sentence.split_once("`confinement: {").and_then(|(_, rest)| rest.split_once("}`"));
    let Some((key, value)) = line.and_then(|(line, _)| line.split_once(": ")) else {
        // Programs that download: how to install the server before.
        let key = entry(case, &keys::MCP_COMMANDS, n, "command");
        return format!("{}\n{sentence}", case.target().change(&key, "<MCP_COMMAND>"));
    };
    let key = format!("mcp.commands[{n}].confinement.{key}");
    match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
        Some(item) => case.target().add(item, &key),
        None => case.target().set(&key, value),
    }
}
