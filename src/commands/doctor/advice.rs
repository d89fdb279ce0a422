//! From a problem of the configuration to the check that it belongs to and to the step that mends it. Pure.
//!
//! A step is one line that a person and a program can follow: `set KEY to VALUE in FILE`, `add VALUE to KEY in FILE`,
//! `rename KEY to NAME in FILE`, `remove KEY from FILE`, `set the variable NAME to VALUE`, `unset NAME`, `drop --FLAG`, or
//! `run: COMMAND`. What only the operator knows stands in angle brackets. What follows the first line says more.

use std::path::{Path, PathBuf};

use crate::config::Problem;
use crate::config::keys::{self, ALL};

/// Where settings are changed.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The file of the configuration, if there is one.
    pub file: Option<&'a Path>,
    /// Whom we are.
    pub uid: u32,
    /// Whom files are given to, where root makes them.
    pub owner: Option<&'a str>,
}

impl Target<'_> {
    fn end(&self, word: &str) -> String {
        self.file.map(|file| format!(" {word} {}", file.display())).unwrap_or_default()
    }

    /// The step that sets a setting.
    #[must_use]
    pub fn set(&self, key: &str, value: &str) -> String {
        // Without a file only a flag can say it.
        let flag =
            ALL.iter().find(|known| self.file.is_none() && known.yaml == key && !known.flag.is_empty());
        if let Some(flag) = flag {
            return format!("set --{} to {value}", flag.flag);
        }
        format!("set {key} to {value}{}", self.end("in"))
    }

    /// The step that adds to a list.
    #[must_use]
    pub fn add(&self, value: &str, key: &str) -> String {
        if self.file.is_none() && key == keys::MCP_SERVER_URLS.yaml {
            return self.set(key, "<MCP_URL>");
        }
        format!("add {value} to {key}{}", self.end("in"))
    }

    /// The step that takes a setting away, wherever it stands.
    #[must_use]
    pub fn remove(&self, key: &str) -> String {
        if key.starts_with("--") {
            format!("drop {key}")
        } else if key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
            format!("unset {key}")
        } else {
            format!("remove {key}{}", self.end("from"))
        }
    }

    /// The step that gives a setting another value, wherever it stands.
    #[must_use]
    pub fn change(&self, key: &str, value: &str) -> String {
        if key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
            format!("set the variable {key} to {value}")
        } else if key.starts_with("--") {
            format!("set {key} to {value}")
        } else {
            self.set(key, value)
        }
    }
}

/// A command line with a path in it.
#[must_use]
pub fn run(command: &str, path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:@,".contains(&b);
    if path.bytes().all(plain) {
        return format!("run: {command} {path}");
    }
    format!("run: {command} '{}'", path.replace('\'', "'\\''"))
}

/// A value that only the operator knows.
const KEY_REFERENCE: &str = "<API_KEY_REFERENCE>";

/// What mends a rule that is broken; `KEY` is the setting of the problem.
enum Mend {
    /// Set this setting to this value.
    Set(&'static str, &'static str),
    /// Add this value to this list.
    Add(&'static str, &'static str),
    /// Give the variable that is named after `environment variable` a value.
    Variable,
    /// Put the file that is named there.
    File,
    /// Make this the mode of the file that is named.
    Mode(&'static str),
    /// Give the file to the user whose number ends the sentence, or to us.
    Owner,
    /// What the hint suggests, as a name or a command.
    Hinted,
    /// Put the credential that is named where a service would find it.
    Credential,
    /// Take the setting away.
    Remove,
}

/// The setting of the problem itself.
const KEY: &str = "";

/// By a part of what was expected; the first that fits.
const MENDS: &[(&str, Mend)] = &[
    ("tunnel ID is required", Mend::Set("control_plane.tunnel_id", "<TUNNEL_ID>")),
    ("invalid tunnel ID", Mend::Set(KEY, "<TUNNEL_ID>")),
    ("control plane API key is required", Mend::Set("control_plane.api_key", KEY_REFERENCE)),
    ("control plane API key is malformed", Mend::Set(KEY, KEY_REFERENCE)),
    ("value must be prefixed with", Mend::Set(KEY, KEY_REFERENCE)),
    ("main channel is required", Mend::Add("mcp.server_urls", "{channel: main, url: <MCP_URL>}")),
    ("https is required", Mend::Set(KEY, "<HTTPS_URL>")),
    ("config_version must be 1", Mend::Set(KEY, "1")),
    ("environment variable", Mend::Variable),
    ("CREDENTIALS_DIRECTORY is not set", Mend::Credential),
    ("can be changed by every user", Mend::Mode("0400")),
    ("belongs to user", Mend::Owner),
    ("Permission denied", Mend::Owner),
    (": no such file", Mend::File),
    (" is empty", Mend::File),
    ("contained no certificates", Mend::File),
    ("is not executable", Mend::Hinted),
    ("was not found; looked", Mend::Set(KEY, "<MCP_COMMAND>")),
    ("unknown key", Mend::Hinted),
    ("there is no user", Mend::Hinted),
    ("duplicate channel", Mend::Remove),
];

/// The check that a problem belongs to.
#[must_use]
pub fn check_of(problem: &Problem) -> &'static str {
    let (place, text) = (problem.place.path.to_ascii_lowercase().replace('-', "_"), &problem.expected);
    let about = |part: &str| place.contains(part);
    if text.starts_with("program ") && (about("mcp.command") || about("mcp_command")) {
        "mcp_command_executable"
    } else if about("tunnel_id") {
        "tunnel_id"
    } else if about("api_key") && (about("control_plane") || about("openai")) {
        "control_plane_api_key"
    } else if about("control_plane.base_url") || about("control_plane_base_url") {
        "control_plane_base_url"
    } else if ["mcp", "mcp.server_url", "mcp.command", "mcp_server_url", "mcp_command"]
        .iter()
        .any(|part| place.trim_start_matches('_') == *part)
        || place.starts_with("mcp.server_urls[")
        || place.starts_with("mcp.commands[")
    {
        "mcp_target"
    } else if text.starts_with("parse config file") || about("profile") || text.contains("profile") {
        "profile_load"
    } else {
        "config_validation"
    }
}

/// What mends a problem: a step first, what else there is to say after it.
#[must_use]
pub fn next(problem: &Problem, target: Target<'_>) -> String {
    let place = problem.place.path.as_str();
    let file: Option<PathBuf> = problem.place.file.as_ref().map(|file| file.to_path_buf());
    let target = Target { file: file.as_deref().or(target.file), ..target };
    let mut step = step(problem, place, target);
    if let Some(hint) = &problem.hint {
        step.push_str(&format!("\n({hint})"));
    }
    step
}

fn step(problem: &Problem, place: &str, target: Target<'_>) -> String {
    let text = problem.expected.as_str();
    let hint = problem.hint.as_deref().unwrap_or_default();
    if let Some((both, _)) = text.split_once(" are mutually exclusive")
        && let Some((_, second)) = both.split_once(" and ")
    {
        return target.remove(second);
    }
    if let Some(rest) = text.strip_prefix("profile \"").filter(|t| t.ends_with("was not found")) {
        let name = rest.split('"').next().unwrap_or_default();
        return format!(
            "run: tunnelward init --profile {name} --tunnel-id <TUNNEL_ID> --mcp-server-url <MCP_URL>"
        );
    }
    if text.starts_with("parse config file") {
        return if text.ends_with("no such file") {
            "run: tunnelward init --tunnel-id <TUNNEL_ID> --mcp-server-url <MCP_URL>".into()
        } else if text.contains("Permission denied") {
            run(
                &format!("chown {}", target.uid),
                between(text, "parse config file ", ": ").unwrap_or_default(),
            )
        } else {
            "correct the line that is named; no setting can be read before".into()
        };
    }
    let mend = MENDS.iter().find(|(part, _)| text.contains(part)).map(|(_, mend)| mend);
    let own = |key: &'static str| if key.is_empty() || place.starts_with("--") { place } else { key };
    let path = || between(text, "file ", " referenced").or_else(|| between(text, "\"", "\""));
    match mend {
        Some(Mend::Set(key, value)) => target.change(own(key), value),
        Some(Mend::Add(key, value)) => target.add(value, key),
        Some(Mend::Variable) => match between(text, "environment variable ", " ") {
            Some(name) => format!("set the variable {name} to <VALUE>"),
            None => target.remove(place),
        },
        Some(Mend::File) => match path() {
            Some(path) => {
                let owner = target.owner.map(|owner| format!("-o {owner} ")).unwrap_or_default();
                run(&format!("install {owner}-m 0600 <FILE>"), path)
            }
            None => target.remove(place),
        },
        Some(Mend::Mode(mode)) => run(&format!("chmod {mode}"), path().unwrap_or_default()),
        Some(Mend::Owner) => {
            let named = text.rsplit_once("agent's user ").and_then(|(_, uid)| uid.parse().ok());
            run(&format!("chown {}", named.unwrap_or(target.uid)), path().unwrap_or_default())
        }
        Some(Mend::Hinted) => hinted(hint, place, target),
        Some(Mend::Credential) => {
            let name = between(text, "credential ", " ").unwrap_or_default();
            let file = target.file.map(|file| format!(" --config {}", file.display())).unwrap_or_default();
            format!(
                "run: systemd-run --pipe --wait --property=LoadCredential={name}:<FILE> tunnelward doctor{file}"
            )
        }
        Some(Mend::Remove) => target.remove(place),
        None if PROTECTS.iter().any(|part| place.contains(part)) => {
            format!("correct {place}{}: {text}", target.end("in"))
        }
        None => target.remove(place),
    }
}

/// Settings that narrow something: nobody is told to do without one because it is misspelt.
const PROTECTS: [&str; 8] =
    ["policy", "audit", "confinement", "tls.", "pins", "allowed_ips", "fingerprint", "ca_bundle"];

/// The command or the name that a hint gives.
fn hinted(hint: &str, place: &str, target: Target<'_>) -> String {
    if let Some(name) = between(hint, "did you mean ", "?") {
        return format!("rename {place} to {name}{}", target.end("in"));
    }
    if let Some(path) = hint.strip_prefix("fix: chmod +x ") {
        return run("chmod +x", path);
    }
    match between(hint, ": ", " -- or") {
        Some(command) => format!("run: {command}"),
        None => target.remove(place),
    }
}

fn between<'t>(text: &'t str, front: &str, back: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(front)?;
    rest.split_once(back).map(|(found, _)| found)
}

#[cfg(test)]
#[path = "advice_tests.rs"]
mod tests;
