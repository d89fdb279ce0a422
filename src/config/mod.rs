//! Configuration: read from file, environment and flags, checked once in the broker, then immutable.
//!
//! [`load`] is the way in. It runs in the broker (and in `config check`) before anything else is opened. It reads
//! regular files of bounded size, lists directories of certificates, follows links, and does nothing else: the
//! environment comes in as a snapshot, no process is started, no name is looked up but in `/etc/passwd` and
//! `/etc/group`. What it returns cannot be wrong; what is wrong it reports all at once, without ever repeating the text
//! of a secret.

mod accounts;
pub mod argv;
pub mod call_policy;
mod check;
pub mod confinement;
mod duration;
mod hdr;
pub mod keys;
mod own;
mod pem;
mod problem;
mod profile;
mod raw;
mod read;
mod reference;
mod secret;
mod shell;
mod sources;
mod tree;
pub mod types;
mod url;

use std::collections::BTreeMap;
use std::path::Path;

pub use problem::{Problem, exit_for};
pub use sources::Flags;
pub use types::Config;

/// What the configuration may know about the machine and the process.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// A snapshot of the environment; variables that are not UTF-8 are left out.
    pub env: &'a BTreeMap<String, String>,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// Where `passwd` and `group` are: `/etc`.
    pub etc: &'a Path,
}

impl Host<'_> {
    /// Whether we run as root: profiles are looked for in `/etc/tunnelward`, and we become somebody else.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Whether flags or environment say anything at all: name a file, or set what a file could set.
#[must_use]
pub fn is_given(flags: &Flags, host: Host<'_>) -> bool {
    let by_env = |key: &keys::Key| host.env.get(key.env).is_some_and(|value| !value.trim().is_empty());
    keys::ALL.iter().any(|key| flags.all(key.flag).is_some() || by_env(key))
}

/// Reads and checks everything that `run` needs. Precedence: flag, environment, file, default.
///
/// # Errors
/// Every problem, in the order in which the settings are checked. A file that cannot be chosen, read or understood as
/// YAML is the only problem reported: without it, everything it sets would be reported as missing.
pub fn load(flags: &Flags, host: Host<'_>) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let file = match profile::select(flags, host) {
        Ok(None) => None,
        Ok(Some(path)) => match raw::open(&path) {
            Ok((file, found)) => {
                problems.extend(found);
                Some(file)
            }
            Err(problem) => return Err(vec![problem]),
        },
        Err(problem) => return Err(vec![problem]),
    };
    check::config(sources::Sources::new(flags, host, file, problems))
}
