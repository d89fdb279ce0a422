//! What each stdio MCP server may touch: the default, what its entry grants, and never the agent's own files.

use std::path::{Path, PathBuf};

use super::commands::Draft;
use super::installed::{self, Wanted};
use super::withheld::{self, Variables};
use super::{granted, runs, system};
use crate::config::confinement::{Profile, Withheld};
use crate::config::sources::Sources;
use crate::config::types::Command;
use crate::log::Level;

/// The commands with their profiles, once everything else has been read. `key_variable` holds the control plane's
/// key and is never suggested.
pub fn commands(s: &mut Sources<'_>, drafts: Vec<Draft>, key_variable: Option<&str>) -> Vec<Command> {
    if drafts.is_empty() {
        return Vec::new();
    }
    let system = system::paths();
    system::kept_away(s, &system);
    let finish = |draft: Draft| {
        granted::kept_away(s, &draft.granted, &draft.entry);
        finish(s, draft, &system, key_variable)
    };
    drafts.into_iter().map(finish).collect()
}

fn finish(s: &Sources<'_>, draft: Draft, system: &Profile, key_variable: Option<&str>) -> Command {
    let Draft { mut command, granted, entry, literal, opaque } = draft;
    let mut child = Child { s, entry: &entry, profile: granted.profile(), withheld: Vec::new() };
    child.profile.read.extend(system.read.iter().cloned());
    child.profile.write.extend(system.write.iter().cloned());
    child.profile.execute.extend(system.execute.iter().cloned());
    let path = command.env.get("PATH").map(String::as_str).unwrap_or_default();
    for run in runs::files(&command.argv, path, &command.cwd) {
        for wanted in installed::wanted(&run) {
            child.grant(wanted);
        }
    }
    (command.profile, command.withheld) = (child.profile, child.withheld);
    let variables = Variables { literal, opaque, key: key_variable };
    let more = withheld::withheld(s, &command, &entry, &variables);
    command.withheld.extend(more);
    command
}

struct Child<'a> {
    s: &'a Sources<'a>,
    entry: &'a str,
    profile: Profile,
    withheld: Vec<Withheld>,
}

impl Child<'_> {
    /// Grants a directory, or the one file in it where the directory holds more than a program.
    fn grant(&mut self, wanted: Wanted) {
        let Wanted { directory, file } = wanted;
        let executable = |path: &Path| self.profile.execute.iter().any(|granted| path.starts_with(granted));
        if executable(&directory) {
            return;
        }
        let shown = directory.display();
        let own = self.s.own.within(&directory, self.entry);
        let reason = match own {
            Some(own) => {
                let (path, name) = (own.path.display(), &own.name);
                format!(
                    "{shown} holds the agent's own file {path} ({name}) and is not granted; move one of them to a directory of its own"
                )
            }
            None if is_broad(&directory, self.home().as_deref()) => {
                format!(
                    "{shown} is too broad to be granted unasked; `confinement: {{execute: [{shown}]}}` grants it, or move the program to a directory of its own"
                )
            }
            None if directory.to_str().is_none() => format!("{shown} is not UTF-8 and cannot be granted"),
            None => {
                self.profile.execute.insert(directory);
                return;
            }
        };
        let Some(file) = file.filter(|file| self.s.own.within(file, self.entry).is_none()) else { return };
        let sentence = format!("only {} is granted: {reason}", file.display());
        let readable = self.profile.covers(&directory);
        let known = readable || self.withheld.iter().any(|w| w.sentence == sentence);
        if file.to_str().is_some() && !executable(&file) {
            self.profile.execute.insert(file);
        }
        if !known {
            self.withheld.push(Withheld { level: Level::Warn, sentence });
        }
    }

    fn home(&self) -> Option<PathBuf> {
        let home = self.s.host.env.get("HOME").map(Path::new).filter(|home| home.is_absolute())?;
        Some(home.canonicalize().unwrap_or_else(|_| home.to_path_buf()))
    }
}

/// Whether a directory holds so much that nobody would grant it for one program in it.
pub fn is_broad(directory: &Path, home: Option<&Path>) -> bool {
    let homes =
        directory.parent().is_none_or(|parent| parent == Path::new("/") || parent == Path::new("/home"));
    homes || directory == Path::new("/var/tmp") || home.is_some_and(|home| home.starts_with(directory))
}
