//! `mcp.commands`: the programs that the broker starts, with everything they are given.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::bindings::{Entry, duplicate, entries};
use super::granted::{self, Granted};
use super::program;
use crate::config::confinement::Profile;
use crate::config::keys;
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::reference::{Reference, Spelling};
use crate::config::shell;
use crate::config::sources::Sources;
use crate::config::types::{Binding, Channel, Command, Transport};

pub const MEMBERS: [&str; 8] =
    ["channel", "command", "serialize", "stateless", "cwd", "env", "pass_env", "confinement"];
/// What children get of the agent's environment, besides every `LC_` variable.
const INHERITED: [&str; 5] = ["PATH", "HOME", "USER", "LANG", "TZ"];
/// Where programs are looked for when the agent itself has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command before its profile is known: that needs the agent's own files, hence the whole configuration.
pub struct Draft {
    /// Without profile.
    pub command: Command,
    /// What its entry grants.
    pub granted: Granted,
    /// The path of its entry: `mcp.commands[0]`.
    pub entry: String,
    /// Variables whose values stand in the entry.
    pub literal: BTreeSet<String>,
    /// Variables whose values come from elsewhere and may be secret.
    pub opaque: BTreeSet<String>,
}

/// The whole environment of a child, and where the entry's own part of it comes from.
struct Environment {
    env: BTreeMap<String, String>,
    literal: BTreeSet<String>,
    opaque: BTreeSet<String>,
}

/// The stdio bindings with their commands, and whether some could not be read. `http` are the bindings that exist
/// already, `key_variable` the variable that the API key came from.
pub fn stdio(
    s: &mut Sources<'_>,
    http: &[Binding],
    key_variable: Option<&str>,
) -> (Vec<Binding>, Vec<Draft>, bool) {
    let before = s.problems.len();
    let mut bindings: Vec<Binding> = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for mut entry in entries(s, &keys::MCP_COMMANDS, &MEMBERS, line) {
        let serialize = entry.truth(s, "serialize");
        let stateless = entry.truth(s, "stateless");
        let channel = entry.channel(s, "mcp.command");
        let draft = draft(s, &mut entry, key_variable);
        let (Some(channel), Some(mut draft)) = (channel, draft) else { continue };
        let taken = |list: &[Binding]| list.iter().any(|b| b.channel == channel);
        if taken(http) || taken(&bindings) {
            let kind = if taken(http) { "http-streamable" } else { "stdio" };
            s.refuse(duplicate(&entry.place, &channel, "mcp.command", kind));
            continue;
        }
        let Ok(index) = u8::try_from(drafts.len()) else {
            s.refuse(Problem::new(&entry.place, "too many commands"));
            break;
        };
        draft.command.channel = channel.clone();
        drafts.push(draft);
        bindings.push(Binding { channel, stateless, transport: Transport::Stdio { index, serialize } });
    }
    (bindings, drafts, s.problems.len() > before)
}

/// Takes a flag or line apart: a bare command, `channel=x,command=…` or `command=…,channel=x`.
pub fn line(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    let strip = |text: &str, name: &str| {
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| text.get(name.len()..).unwrap_or_default().to_string())
    };
    let (command, channel) = if let Some(rest) = strip(text, "channel=") {
        let Some((channel, after)) = rest.split_once(',') else {
            return Err("invalid mcp.command: command= is missing".into());
        };
        let Some(command) = strip(after.trim_start(), "command=") else {
            return Err("invalid mcp.command: expected channel=<name>,command=<command>".into());
        };
        (command, Some(channel.to_string()))
    } else if let Some(rest) = strip(text, "command=") {
        match rest.rsplit_once(",channel=") {
            Some((command, channel)) => (command.to_string(), Some(channel.to_string())),
            None => (rest, None),
        }
    } else {
        return Ok(vec![("command", text.to_string())]);
    };
    for name in ["http-proxy", "url", "unix-socket", "client-cert", "client-key"] {
        if command.contains(&format!(",{name}=")) {
            return Err(format!("invalid mcp.command: unsupported key {name}"));
        }
    }
    let channel = channel.map(|c| ("channel", c.trim().to_string()));
    Ok([Some(("command", command)), channel].into_iter().flatten().collect())
}

/// Everything of a command but its channel and its profile.
fn draft(s: &mut Sources<'_>, entry: &mut Entry, key_variable: Option<&str>) -> Option<Draft> {
    let before = s.problems.len();
    let cwd = cwd(s, entry);
    let Environment { env, literal, opaque } = environment(s, entry, key_variable);
    let granted = granted::granted(s, entry);
    let Some(given) = entry.text(s, "command") else {
        s.refuse(Problem::new(&entry.place, "invalid mcp.command: command is empty").found("no command"));
        return None;
    };
    let mut argv = match shell::split(given.text.expose()) {
        Ok(argv) => argv,
        Err(error) => {
            s.refuse(Problem::new(&given.place, format!("invalid mcp.command: {error}")));
            return None;
        }
    };
    let name = argv.first_mut()?;
    match program::find(name, env.get("PATH").map_or(DEFAULT_PATH, String::as_str), &cwd) {
        Ok(path) => *name = path,
        Err(refused) => {
            s.refuse(
                Problem::new(&given.place, format!("program {} {}", show(name), refused.why))
                    .hint(refused.fix),
            );
        }
    }
    let (channel, profile) = (Channel::main(), Profile::default());
    let command = Command { channel, argv, cwd, env, profile, withheld: Vec::new() };
    let draft = Draft { command, granted, entry: entry.place.path.clone(), literal, opaque };
    (s.problems.len() == before).then_some(draft)
}

fn cwd(s: &mut Sources<'_>, entry: &mut Entry) -> PathBuf {
    let root = PathBuf::from("/");
    let Some(given) = entry.text(s, "cwd").filter(|g| !g.trimmed().is_empty()) else { return root };
    let path = expand(given.trimmed(), s.host);
    let why = match std::fs::metadata(&path) {
        _ if !path.is_absolute() => "must be an absolute path".to_string(),
        Ok(found) if found.is_dir() => return path,
        Ok(_) => "is not a directory".to_string(),
        Err(error) => format!("cannot be used as a working directory: {error}"),
    };
    s.refuse(Problem::new(&given.place, why).found(show(&path.display().to_string())));
    root
}

/// The whole environment of a child: little of the agent's, what `pass_env` names, what `env` sets.
fn environment(s: &mut Sources<'_>, entry: &mut Entry, key_variable: Option<&str>) -> Environment {
    let (mut literal, mut opaque) = (BTreeSet::new(), BTreeSet::new());
    let inherited = |name: &str| INHERITED.contains(&name) || name.starts_with("LC_");
    let agent = s.host.env.iter().filter(|(name, _)| inherited(name));
    let mut env = BTreeMap::new();
    env.extend(agent.map(|(n, v)| (n.clone(), v.clone())));
    env.entry("PATH".into()).or_insert_with(|| DEFAULT_PATH.into());
    if let Some((place, node)) = entry.take("pass_env") {
        for (place, node) in s.list(&place, node).unwrap_or_default() {
            let Some(given) = s.single(place, node) else { continue };
            let name = given.trimmed();
            if !sound_name(s, name, &given.place) || is_key(s, name, key_variable, &given.place) {
                continue;
            }
            match s.host.env.get(name) {
                Some(value) => {
                    env.insert(name.into(), value.clone());
                    opaque.insert(name.into());
                }
                None => {
                    s.warnings.push(format!("{}: environment variable {name} is not set", given.place.path))
                }
            }
        }
    }
    if let Some((place, node)) = entry.take("env") {
        for (name, place, node) in s.map(&place, node, None).unwrap_or_default() {
            let Some(given) = s.single(place.clone(), node) else { continue };
            if !sound_name(s, &name, &place) {
                continue;
            }
            let reference = Reference::parse(given.text.expose(), Spelling::AnyCase);
            if matches!(reference, Some(Reference::Env(variable)) if is_key(s, variable, key_variable, &place))
            {
                continue;
            }
            let origin = if reference.is_some() { &mut opaque } else { &mut literal };
            origin.insert(name.clone());
            let value = match reference.map(|r| s.resolve(r, &place, &place.path)) {
                None => given.text,
                Some(Ok(value)) => value,
                Some(Err(problem)) => {
                    s.refuse(problem);
                    continue;
                }
            };
            if value.expose().contains('\0') {
                s.refuse(Problem::new(&place, "an environment variable cannot hold a NUL"));
            } else {
                env.insert(name, value.expose().to_string());
            }
        }
    }
    Environment { env, literal, opaque }
}

fn sound_name(s: &mut Sources<'_>, name: &str, place: &Place) -> bool {
    let sound = !name.is_empty() && !name.contains(['=', '\0']);
    if !sound {
        s.refuse(Problem::new(place, "must be the name of an environment variable").found(show(name)));
    }
    sound
}

/// The control plane's key is for the agent alone.
fn is_key(s: &mut Sources<'_>, name: &str, key_variable: Option<&str>, place: &Place) -> bool {
    let same = key_variable == Some(name);
    if same {
        let why = format!(
            "environment variable {name} holds the control plane API key and is not given to an MCP server"
        );
        s.refuse(Problem::new(place, why).hint("give the server a key of its own under another name"));
    }
    same
}
