//! The worker's attempts on itself at every start: what its filter or Landlock answers with an error number. A worker
//! to which one of them succeeds does not serve.

use std::path::PathBuf;

use super::attempts::{self, Attempt, Context, Expected, Outcome, Terms};
use super::landlock::Grants;
use super::seccomp::Role;
use super::{Facts, Sealed};

/// Attempts that need nothing but what every machine has; those that kill cannot be among them.
const NAMES: [&str; 6] =
    ["read-own-status", "open-root", "connect-tcp", "connect-metadata", "bind-tcp", "set-fast-open"];

/// An attempt that was not refused as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotDenied {
    /// Its name.
    pub attempt: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

impl std::fmt::Display for NotDenied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the self-test {} should be denied, but ended with: {}", self.attempt, self.outcome)
    }
}

impl std::error::Error for NotDenied {}

/// Makes them. Returns how many were denied.
///
/// # Errors
/// The first that was not: the process must not serve.
pub fn worker(sealed: &Sealed, grants: &Grants) -> Result<usize, NotDenied> {
    run(sealed.facts(), grants, Attempt::make)
}

fn run(
    facts: Facts,
    grants: &Grants,
    make: impl Fn(&Attempt, &Context) -> std::io::Result<()>,
) -> Result<usize, NotDenied> {
    let terms = Terms { abi: facts.landlock, mdwe: facts.mdwe, grants };
    let context = Context::anywhere(grants);
    let mut denied = 0_usize;
    for attempt in NAMES.iter().filter_map(|name| attempts::named(name)) {
        let Expected::Denied(expected @ Outcome::Errno(_)) = attempt.expected(Role::Worker, terms, &context)
        else {
            continue;
        };
        let outcome = Outcome::of(&make(attempt, &context));
        if outcome != expected {
            return Err(NotDenied { attempt: attempt.name, outcome });
        }
        denied = denied.saturating_add(1);
    }
    Ok(denied)
}

impl Context {
    /// Without a stage: for the attempts that need none. The port is the first that is not granted; nobody needs to
    /// listen there, since Landlock is asked first.
    #[must_use]
    fn anywhere(grants: &Grants) -> Self {
        Self {
            stage: PathBuf::from("/nonexistent"),
            own_files: Vec::new(),
            port: (1..=u16::MAX).find(|port| !grants.tcp.contains(port)).unwrap_or(1),
            abstract_socket: String::new(),
            neighbour: 0,
        }
    }
}

#[cfg(test)]
#[path = "selftest_tests.rs"]
mod tests;
