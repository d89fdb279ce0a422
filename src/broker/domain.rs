//! What the broker's Landlock domain allows: its own needs, and everything that is granted to anyone below it, since
//! domains nest. Pure.

use super::scratch::Scratch;
use crate::config::types::Config;
use crate::confine::landlock::Grants;
use crate::confine::worker_grants;

/// The program of worker and launch: this one, also when an upgrade has replaced the file.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Which processes there are below us, and how many threads each role has when it confines itself.
const PROCESSES: &str = "/proc";
/// Standard streams that nobody uses.
const NULL: &str = "/dev/null";

/// The union.
#[must_use]
pub fn grants(config: &Config, scratch: Option<&Scratch>) -> Grants {
    let mut all = worker_grants(&config.worker);
    for command in &config.commands {
        all.add(Grants::of_child(&command.profile));
    }
    all.execute.insert(OWN_PROGRAM.into());
    all.read.insert(PROCESSES.into());
    all.write.insert(NULL.into());
    if let Some(audit) = &config.audit {
        all.write.insert(audit.path.clone());
    }
    if let Some(scratch) = scratch {
        all.write.insert(scratch.top().into());
        all.tidy.extend(scratch.top().parent().map(Into::into));
    }
    all
}
