//! What the broker's Landlock domain allows: its own needs, and everything that is granted to anyone below it, since
//! domains nest. It is entered once, so a reload can use only what lies within it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::scratch::Scratch;
use crate::config::confinement::DEFAULT_ABI;
use crate::config::types::Config;
use crate::confine::landlock::Grants;
use crate::confine::{RESOLVER_FILES, worker_grants};

/// The program of worker and launch: this one, also when an upgrade has replaced the file.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Which processes there are below us, and how many threads each role has when it confines itself.
const PROCESSES: &str = "/proc";
/// Standard streams that nobody uses.
const NULL: &str = "/dev/null";

/// The first Landlock ABI that covers Unix sockets.
const UNIX_ABI: u8 = 9;

/// What the kernel knows a file or directory by: device and inode.
type Stamp = (u64, u64);

/// The union.
#[must_use]
pub fn grants(config: &Config, scratch: Option<&Scratch>) -> Grants {
    let mut all = needs(config);
    all.execute.insert(OWN_PROGRAM.into());
    all.read.insert(PROCESSES.into());
    all.write.insert(NULL.into());
    all.read.extend(resolver_directories());
    all.unlink.extend(config.health.files().filter_map(|file| Some(file.parent()?.into())));
    if let Some(audit) = &config.audit {
        all.write.insert(audit.path.clone());
    }
    if let Some(scratch) = scratch {
        all.write.insert(scratch.top().into());
        all.tidy.extend(scratch.top().parent().map(Into::into));
    }
    all
}

/// Where the files of the resolver are, as spelled and behind links. Whoever configures the network replaces them, and a
/// rule on a file ends with it: the next worker could not read what is there then. The rules of worker and servers are
/// on the files alone.
fn resolver_directories() -> BTreeSet<PathBuf> {
    let files = RESOLVER_FILES.iter().map(PathBuf::from);
    let spelled_and_real = files.flat_map(|file| [file.canonicalize().ok(), Some(file)]);
    let mut directories = BTreeSet::new();
    directories.extend(spelled_and_real.flatten().filter_map(|file| file.parent().map(Path::to_path_buf)));
    directories
}

/// What a configuration needs of it.
fn needs(config: &Config) -> Grants {
    let mut all = worker_grants(&config.worker);
    all.read.extend(config.readable.iter().cloned());
    for command in &config.commands {
        all.add(Grants::of_child(&command.profile));
    }
    // A server that starts again makes its socket anew: the rule is one on the directory.
    all.sockets.extend(config.unix_sockets.values().filter_map(|path| Some(path.parent()?.into())));
    all
}

/// The domain in force.
#[derive(Debug)]
pub struct Domain {
    grants: Grants,
    /// What was there when the domain was entered: a rule is about the file, not about its name.
    stamps: BTreeMap<PathBuf, Stamp>,
    /// The kernel's Landlock ABI: what it does not cover is never lacking.
    abi: u8,
}

impl Domain {
    /// As it is entered now, on a kernel with this Landlock ABI.
    #[must_use]
    pub fn of(grants: Grants, abi: u8) -> Self {
        let paths = grants.read.iter().chain(&grants.write).chain(&grants.execute).chain(&grants.sockets);
        let mut stamps = BTreeMap::new();
        stamps.extend(paths.filter_map(|path| Some((path.clone(), stamp(path)?))));
        Self { grants, stamps, abi }
    }

    /// What a configuration needs and the domain does not allow, each as a few words that name it.
    #[must_use]
    pub fn lacks(&self, config: &Config) -> Vec<String> {
        let needs = needs(config);
        let Grants { read, write, execute, sockets, .. } = &self.grants;
        let mut lacks = Vec::new();
        let mut paths = |what: &str, wanted: &BTreeSet<PathBuf>, allowed: &[&BTreeSet<PathBuf>]| {
            let missing = wanted.iter().filter(|path| !self.allows(path, allowed));
            lacks.extend(missing.map(|path| format!("to {what} {}", path.display())));
        };
        paths("read", &needs.read, &[read, write, execute]);
        paths("write to", &needs.write, &[write]);
        paths("execute", &needs.execute, &[execute]);
        if self.abi >= UNIX_ABI && !self.grants.unix_sockets {
            paths("connect to Unix sockets in", &needs.sockets, &[sockets]);
        }
        if self.abi >= DEFAULT_ABI {
            let missing = needs.tcp.difference(&self.grants.tcp);
            lacks.extend(missing.map(|port| format!("to connect to TCP port {port}")));
        }
        if needs.names && !self.grants.names {
            lacks.push("to look up names".into());
        }
        if needs.unix_sockets && !self.grants.unix_sockets {
            lacks.push("to connect to Unix sockets".into());
        }
        lacks
    }

    fn allows(&self, path: &Path, sets: &[&BTreeSet<PathBuf>]) -> bool {
        // They are replaced by whoever configures the network, and what is not there grants nothing, now as then.
        let excused = RESOLVER_FILES.iter().any(|file| path == Path::new(file)) || stamp(path).is_none();
        let within = |granted: &PathBuf| {
            path.starts_with(granted)
                && self.stamps.get(granted).is_some_and(|then| stamp(granted) == Some(*then))
        };
        excused || sets.iter().any(|set| set.iter().any(within))
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
#[path = "domain_tests.rs"]
mod tests;
