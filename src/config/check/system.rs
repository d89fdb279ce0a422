//! What of the system every stdio MCP server may touch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::config::confinement::Profile;
use crate::config::problem::{Place, Problem};
use crate::config::sources::Sources;

/// Programs and libraries, to read and execute.
const EXECUTE: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];
/// What programs read to find names, time, certificates and random numbers. `/etc/alternatives` is not among them:
/// to follow a link needs no right, only to open what it leads to.
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
/// What every program may write to; the directory for temporary files is made when it starts.
const WRITE: [&str; 1] = ["/dev/null"];
/// Where certificates are links to elsewhere.
const CERTIFICATES: [&str; 2] = ["/etc/ssl", "/etc/ssl/certs"];
/// Most entries of these directories that are looked at; distributions have about 300.
const MAX_ENTRIES: usize = 4096;

/// What of it exists on this machine, without symbolic links.
pub fn paths() -> Profile {
    let mut profile = Profile::default();
    for path in EXECUTE {
        add(&mut profile.execute, &[], Path::new(path));
    }
    let execute = profile.execute.clone();
    for path in READ {
        add(&mut profile.read, &[&execute], Path::new(path));
    }
    let mut entries = 0;
    for directory in CERTIFICATES {
        links(Path::new(directory), &execute, &mut profile.read, &mut entries);
    }
    for path in WRITE {
        add(&mut profile.write, &[], Path::new(path));
    }
    profile
}

/// Adds a path unless it is covered already.
fn add(to: &mut BTreeSet<PathBuf>, others: &[&BTreeSet<PathBuf>], path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok().filter(|real| real.to_str().is_some())?;
    let covered = |set: &BTreeSet<PathBuf>| set.iter().any(|granted| real.starts_with(granted));
    if covered(to) || others.iter().any(|set| covered(set)) {
        return None;
    }
    to.insert(real.clone());
    Some(real)
}

/// Adds what the links of a directory lead to, and once more for a directory that one leads to.
fn links(directory: &Path, execute: &BTreeSet<PathBuf>, read: &mut BTreeSet<PathBuf>, entries: &mut usize) {
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(listed) = std::fs::read_dir(&directory) else { continue };
        for entry in listed.flatten() {
            *entries = entries.saturating_add(1);
            if *entries > MAX_ENTRIES {
                return;
            }
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            // Nearly all lead to the same directory or below /usr; the others are worth a look.
            let near = target.parent() == Some(Path::new("")) || target.starts_with("/usr");
            if !near && let Some(real) = add(read, &[execute], &entry.path()) {
                waiting.extend(real.is_dir().then_some(real));
            }
        }
    }
}

/// Refuses to start with a file of the agent's own where every server may read.
pub fn kept_away(s: &mut Sources<'_>, system: &Profile) {
    for granted in system.execute.iter().chain(&system.read).chain(&system.write) {
        if let Some(own) = s.own.within(granted, "") {
            let (path, granted) = (own.path.display(), granted.display());
            let why =
                format!("the agent's own file {path} lies in {granted}, which every MCP server may read");
            let problem = Problem::new(&Place::named(&own.name), why);
            s.problems.push(problem.hint(format!("move it out of {granted}")));
        }
    }
}
