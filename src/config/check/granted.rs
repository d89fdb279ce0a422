//! `mcp.commands[].confinement`: what the operator grants to one MCP server, above the default.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bindings::Entry;
use crate::config::confinement::{DEFAULT_PROCESSES, Profile};
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::sources::Sources;
use crate::config::tree::{Node, Value};

pub const MEMBERS: [&str; 6] = ["read", "write", "execute", "tcp_ports", "unix_sockets", "max_processes"];
/// Bounds of `max_processes`: more than any machine that this runs on can hold.
const PROCESSES: std::ops::RangeInclusive<u32> = 1..=100_000;

/// A path and where it is granted, without symbolic links.
pub type GrantedPath = (Place, PathBuf);

/// What one entry grants.
#[derive(Default)]
pub struct Granted {
    /// To read.
    pub read: Vec<GrantedPath>,
    /// To read and change.
    pub write: Vec<GrantedPath>,
    /// To read and execute.
    pub execute: Vec<GrantedPath>,
    tcp_ports: BTreeSet<u16>,
    unix_sockets: bool,
    max_processes: Option<u32>,
}

impl Granted {
    /// All of it, and nothing else.
    pub fn profile(&self) -> Profile {
        let paths = |list: &[GrantedPath]| {
            let mut paths = BTreeSet::new();
            paths.extend(list.iter().map(|(_, path)| path.clone()));
            paths
        };
        Profile {
            read: paths(&self.read),
            write: paths(&self.write),
            execute: paths(&self.execute),
            tcp_ports: self.tcp_ports.clone(),
            unix_sockets: self.unix_sockets,
            max_processes: self.max_processes.unwrap_or(DEFAULT_PROCESSES),
        }
    }
}

/// Refuses to grant the agent's own files.
pub fn kept_away(s: &mut Sources<'_>, granted: &Granted, entry: &str) {
    for (place, path) in granted.read.iter().chain(&granted.write).chain(&granted.execute) {
        if let Some(own) = s.own.within(path, entry) {
            let (granted, own_path, name) = (path.display(), own.path.display(), &own.name);
            let why =
                format!("{granted} would give the agent's own file {own_path} ({name}) to the MCP server");
            let hint = "name the files or directories beside it, or move it";
            s.problems.push(Problem::new(place, why).hint(hint));
        }
    }
}

/// The member of an entry. What cannot be granted is a problem and left out.
pub fn granted(s: &mut Sources<'_>, entry: &mut Entry) -> Granted {
    let mut granted = Granted::default();
    let Some((place, node)) = entry.take("confinement") else { return granted };
    for (name, place, node) in s.map(&place, node, Some(&MEMBERS)).unwrap_or_default() {
        if matches!(node.value, Value::Null) {
            continue;
        }
        match name.as_str() {
            "read" => granted.read = paths(s, &place, node, None),
            "write" => {
                let why = "the server could change every file of the machine";
                granted.write = paths(s, &place, node, Some(why));
            }
            "execute" => {
                let why = "the server could run every program of the machine, also one that it has written";
                granted.execute = paths(s, &place, node, Some(why));
            }
            "tcp_ports" => granted.tcp_ports = ports(s, &place, node),
            "unix_sockets" => granted.unix_sockets = truth(s, place, node),
            _ => granted.max_processes = processes(s, place, node),
        }
    }
    granted
}

/// A list of paths. `never_root` is why `/` is refused, where it is.
fn paths(s: &mut Sources<'_>, place: &Place, node: Node, never_root: Option<&str>) -> Vec<GrantedPath> {
    let mut found = Vec::new();
    for (place, node) in s.list(place, node).unwrap_or_default() {
        let Some(given) = s.single(place.clone(), node) else { continue };
        let path = expand(given.trimmed(), s.host);
        match real(&path) {
            Err(why) => s.refuse(Problem::new(&place, why).found(show(given.trimmed()))),
            Ok(path) => match never_root.filter(|_| path == Path::new("/")) {
                Some(why) => s.refuse(
                    Problem::new(&place, format!("/ cannot be granted: {why}"))
                        .found(show(given.trimmed()))
                        .hint("name the directories that the server needs"),
                ),
                None => found.push((place, path)),
            },
        }
    }
    found
}

/// The path without symbolic links: a rule is about the file, and must not depend on who changes a link later.
fn real(path: &Path) -> Result<PathBuf, String> {
    if !path.is_absolute() {
        return Err("must be an absolute path".into());
    }
    match path.canonicalize() {
        Ok(real) if real.to_str().is_none() => Err("is a link to a path that is not UTF-8".into()),
        Ok(real) => Ok(real),
        Err(error) => Err(format!("must exist when the agent starts: {error}")),
    }
}

fn ports(s: &mut Sources<'_>, place: &Place, node: Node) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for (place, node) in s.list(place, node).unwrap_or_default() {
        let Some(given) = s.single(place.clone(), node) else { continue };
        match given.trimmed().parse::<u16>() {
            Ok(port) if port > 0 => drop(ports.insert(port)),
            _ => {
                let shown = show(given.trimmed());
                s.refuse(Problem::new(&place, "must be a port between 1 and 65535").found(shown));
            }
        }
    }
    ports
}

fn truth(s: &mut Sources<'_>, place: Place, node: Node) -> bool {
    let Some(given) = s.single(place, node) else { return false };
    s.truth_of(&given).unwrap_or(false)
}

fn processes(s: &mut Sources<'_>, place: Place, node: Node) -> Option<u32> {
    let given = s.single(place, node)?;
    let number = given.trimmed().parse().ok().filter(|n| PROCESSES.contains(n));
    if number.is_none() {
        let why = format!("must be between {} and {}", PROCESSES.start(), PROCESSES.end());
        s.refuse(Problem::new(&given.place, why).found(show(given.trimmed())));
    }
    number
}
