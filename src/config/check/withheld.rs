//! What `tunnel-client` would have given a server and this agent does not: variables, paths, ports, downloads. Each as
//! a sentence with the line that grants it.
//!
//! A sentence shows names of variables, paths that exist and ports, and never another part of a value.

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::{downloads, endpoints};
use crate::config::confinement::Withheld;
use crate::config::keys;
use crate::config::shell;
use crate::config::sources::Sources;
use crate::config::types::Command;
use crate::log::Level;

/// Names in one line, and lines about paths and ports of one command: what a reader still takes in.
const MOST: usize = 20;
/// Variables of shells and of the service manager, which are about the process that they were made for.
const OF_THE_AGENT: [&str; 19] = [
    "_",
    "CACHE_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LOGS_DIRECTORY",
    "NOTIFY_SOCKET",
    "OLDPWD",
    "PWD",
    "RUNTIME_DIRECTORY",
    "SHLVL",
    "STATE_DIRECTORY",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Where the variables of a command come from.
pub struct Variables<'a> {
    /// Those whose values stand in the entry.
    pub literal: BTreeSet<String>,
    /// Those whose values come from elsewhere and may be secret.
    pub opaque: BTreeSet<String>,
    /// That of the control plane's key, which no child gets.
    pub key: Option<&'a str>,
}

/// The sentences about a command whose profile is complete.
pub fn withheld(s: &Sources<'_>, command: &Command, entry: &str, of: &Variables<'_>) -> Vec<Withheld> {
    let warn = |sentence: String| Withheld { level: Level::Warn, sentence };
    let mut found: Vec<Withheld> = downloads::sentence(&command.argv).map(warn).into_iter().collect();
    let mut search =
        Search { s, command, entry, seen: BTreeSet::new(), ports: BTreeSet::new(), sentences: Vec::new() };
    if command.cwd != Path::new("/") {
        search.path("its working directory", &command.cwd);
    }
    for (n, argument) in command.argv.iter().enumerate().skip(1) {
        let user = format!("argument {n}");
        // The text of `sh -c` has words of its own.
        let words = shell::split(argument).unwrap_or_default();
        for text in std::iter::once(argument).chain(&words) {
            search.paths(&user, text);
            search.port(&user, text);
        }
    }
    for (name, value) in &command.env {
        let user = format!("env.{name}");
        // PATH lists where programs may be, not what is needed.
        if of.literal.contains(name) && name != "PATH" {
            search.paths(&user, value);
        }
        if of.literal.contains(name) || of.opaque.contains(name) {
            search.port(&user, value);
        }
    }
    let more = search.sentences.len().saturating_sub(MOST);
    found.extend(search.sentences.into_iter().take(MOST).map(warn));
    if more > 0 {
        found.push(warn(format!("{more} more paths or ports are named that it may not reach")));
    }
    found.extend(variables(s, command, of.key).map(|sentence| Withheld { level: Level::Info, sentence }));
    found
}

/// One sentence about all variables of the agent that the command does not get.
fn variables(s: &Sources<'_>, command: &Command, key: Option<&str>) -> Option<String> {
    let own = |name: &str| {
        OF_THE_AGENT.contains(&name)
            || key == Some(name)
            || s.own.has_variable(name)
            || keys::ALL.iter().any(|k| k.env == name)
    };
    let sound = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let names = s.host.env.keys().map(String::as_str);
    let names: Vec<&str> =
        names.filter(|name| !command.env.contains_key(*name) && !own(name) && sound(name)).collect();
    let shown = names.get(..MOST).unwrap_or(&names).join(", ");
    let more = match names.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    (!names.is_empty()).then(|| {
        format!(
            "of the agent's environment it does not get {shown}{more}; `pass_env: [{shown}]` passes them on"
        )
    })
}

struct Search<'a> {
    s: &'a Sources<'a>,
    command: &'a Command,
    entry: &'a str,
    seen: BTreeSet<PathBuf>,
    ports: BTreeSet<u16>,
    sentences: Vec<String>,
}

impl Search<'_> {
    fn paths(&mut self, user: &str, text: &str) {
        for path in endpoints::paths(text) {
            self.path(user, Path::new(path));
        }
    }

    /// A path, when it exists and cannot be reached.
    fn path(&mut self, user: &str, path: &Path) {
        let Ok(real) = path.canonicalize() else { return };
        let socket = real.metadata().is_ok_and(|found| found.file_type().is_socket());
        let reached =
            if socket { self.command.profile.unix_sockets } else { self.command.profile.covers(&real) };
        if reached || !self.seen.insert(real.clone()) {
            return;
        }
        let shown = path.display();
        self.sentences.push(if self.s.own.within(&real, self.entry).is_some() {
            format!("{user} names {shown}, where the agent's own files are; it cannot be granted")
        } else if socket {
            format!(
                "{user} names the socket {shown}, which it may not use; `confinement: {{unix_sockets: true}}` grants it"
            )
        } else {
            format!(
                "{user} names {shown}, which it may not read; `confinement: {{read: [{shown}]}}` grants it (write instead \
                 of read lets it change things there)"
            )
        });
    }

    /// A port, when it is not granted.
    fn port(&mut self, user: &str, text: &str) {
        let Some(port) = endpoints::port(text) else { return };
        if !self.command.profile.tcp_ports.contains(&port) && self.ports.insert(port) {
            self.sentences.push(format!(
                "{user} names TCP port {port}, which it may not connect to; `confinement: {{tcp_ports: [{port}]}}` grants it"
            ));
        }
    }
}
