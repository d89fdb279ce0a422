//! The system-call filters of each role, as the build compiled them from `policy/seccomp`, and their installation.
//!
//! Used by broker, worker and launch, each once, as the last step of its confinement. Filters add up: the worker and
//! every MCP server are bound by the broker's as well, and the strictest verdict wins. There is no way to leave one
//! out or to bring another: neither a file nor a variable nor a flag is read here.

use std::collections::BTreeMap;
use std::io;

use seccompiler::sock_filter;

use super::kernel::Failed;
use crate::policy::sha256_hex;

/// Written by `policy/build.rs` from the policy of this target.
mod compiled {
    use seccompiler::sock_filter;

    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

/// A filter: its name in the policy, and its instructions.
pub type Program = (&'static str, &'static [sock_filter]);

/// Whose filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The broker; inherited by everything that it starts.
    Broker,
    /// The worker.
    Worker,
    /// Launch, for the MCP server that it becomes.
    Child {
        /// Whether a TCP port is granted.
        inet: bool,
        /// Whether local sockets are granted.
        unix: bool,
    },
}

/// Why a filter is not in place.
#[derive(Debug)]
pub enum Error {
    /// The kernel has no seccomp filters, or an outer filter hides them.
    Absent {
        /// The first filter.
        program: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The kernel refused it.
    Refused {
        /// The filter.
        program: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Another thread has filters of its own.
    Thread {
        /// The filter.
        program: &'static str,
        /// The thread, as the kernel numbers it.
        thread: i64,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent { program, source } => {
                write!(f, "the kernel offers no seccomp filters (needed for {program}): {source}")
            }
            Self::Refused { program, source } => write!(f, "the seccomp filter {program}: {source}"),
            Self::Thread { program, thread } => {
                write!(f, "the seccomp filter {program}: the thread {thread} has others")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Absent { source, .. } | Self::Refused { source, .. } => Some(source),
            Self::Thread { .. } => None,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { step: "installing system-call filters", error: io::Error::other(error) }
    }
}

/// The filters that a role adds to those it inherits, in the order of their installation.
pub fn programs(role: Role) -> impl Iterator<Item = Program> {
    // INVARIANT: the worker's allowlist is the last one; seccomp(2) is not on it.
    let programs = match role {
        Role::Broker => [
            Some(("broker_enosys", compiled::BROKER_ENOSYS)),
            Some(("broker_deny", compiled::BROKER_DENY)),
            NO_X32,
        ],
        Role::Worker => [
            Some(("worker_errno", compiled::WORKER_ERRNO)),
            Some(("worker_allow", compiled::WORKER_ALLOW)),
            None,
        ],
        Role::Child { inet, unix } => [
            Some(("child_deny", compiled::CHILD_DENY)),
            Some(match inet {
                true => ("child_inet", compiled::CHILD_INET),
                false => ("child_no_inet", compiled::CHILD_NO_INET),
            }),
            (!unix).then_some(("child_no_unix", compiled::CHILD_NO_UNIX)),
        ],
    };
    programs.into_iter().flatten()
}

#[cfg(target_arch = "x86_64")]
const NO_X32: Option<Program> = Some(("no_x32", compiled::NO_X32));
#[cfg(not(target_arch = "x86_64"))]
const NO_X32: Option<Program> = None;

/// All that have filters of their own.
const ROLES: [Role; 4] = [
    Role::Broker,
    Role::Worker,
    Role::Child { inet: true, unix: false },
    Role::Child { inet: false, unix: false },
];

/// The filter of this name. For the tests of single rules, which the roles consist of.
#[must_use]
pub fn program(name: &str) -> Option<Program> {
    ROLES.into_iter().flat_map(programs).find(|(known, _)| *known == name)
}

/// The SHA-256 of all filters, in hex: of each in the order of their names the name, a NUL, and the instructions as the kernel
/// takes them, little-endian.
#[must_use]
pub fn digest() -> String {
    let mut bytes = Vec::new();
    let mut filters = BTreeMap::new();
    filters.extend(ROLES.into_iter().flat_map(programs));
    for (name, instructions) in filters {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        for i in instructions {
            bytes.extend_from_slice(&i.code.to_le_bytes());
            bytes.extend([i.jt, i.jf]);
            bytes.extend_from_slice(&i.k.to_le_bytes());
        }
    }
    sha256_hex(&bytes)
}

/// Installs the filters of a role, for all threads and for good. Nothing takes them away again.
///
/// # Errors
/// The filter that is not in place; those before it are, and the process must end.
pub fn install(role: Role) -> Result<(), Error> {
    programs(role).try_for_each(apply)
}

/// Installs one filter.
///
/// # Errors
/// As [`install`].
pub fn apply((program, instructions): Program) -> Result<(), Error> {
    seccompiler::apply_filter_all_threads(instructions).map_err(|e| match e {
        seccompiler::Error::Seccomp(source) if absent(&source) => Error::Absent { program, source },
        seccompiler::Error::Seccomp(source) | seccompiler::Error::Prctl(source) => {
            Error::Refused { program, source }
        }
        seccompiler::Error::ThreadSync(thread) => Error::Thread { program, thread },
        // Not of this call: it compiles nothing, and no program is empty.
        other => Error::Refused { program, source: io::Error::other(other.to_string()) },
    })
}

/// `ENOSYS` comes from kernels and outer filters without the call, `EINVAL` from kernels without filters in it.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
