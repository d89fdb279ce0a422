//! What each stdio MCP server may touch: the default, what its entry grants, and never the agent's own files.

use std::path::Path;

use super::commands::Draft;
use super::granted::Granted;
use crate::config::confinement::Profile;
use crate::config::problem::Problem;
use crate::config::sources::Sources;
use crate::config::types::Command;

/// Programs and libraries of the system, to read and execute.
const SYSTEM: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];
/// What programs read to find names, time and certificates.
const READ: [&str; 11] = [
    "/etc/ssl",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
];
const WRITE: [&str; 1] = ["/dev/null"];

/// The commands with their profiles, once everything else has been read.
pub fn commands(s: &mut Sources<'_>, drafts: Vec<Draft>) -> Vec<Command> {
    let mut commands = Vec::new();
    for mut draft in drafts {
        kept_away(s, &draft.granted, &draft.entry);
        draft.command.profile = profile(&draft);
        commands.push(draft.command);
    }
    commands
}

fn profile(draft: &Draft) -> Profile {
    let mut profile = draft.granted.profile();
    let real = |paths: &[&str]| {
        let found = paths.iter().filter_map(|path| Path::new(path).canonicalize().ok());
        found.collect::<Vec<_>>()
    };
    profile.execute.extend(real(&SYSTEM));
    profile.read.extend(real(&READ));
    profile.write.extend(real(&WRITE));
    let program = draft.command.argv.first().and_then(|program| Path::new(program).canonicalize().ok());
    profile.execute.extend(program);
    profile
}

/// Refuses to grant the agent's own files.
fn kept_away(s: &mut Sources<'_>, granted: &Granted, entry: &str) {
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
