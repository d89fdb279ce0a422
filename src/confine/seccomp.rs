//! Seccomp: which system calls a process may make. The filters are data, `policy/seccomp/`, compiled into the binary;
//! nothing at run time adds to them, replaces them or leaves one out.
//!
//! Filters stack, and the strictest verdict wins. What the broker installs binds everything that it starts.

use std::io;

use seccompiler::{apply_filter_all_threads, sock_filter};

use super::kernel::Failed;

include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));

/// Numbers with this bit are calls of the x32 interface: other numbers for the same calls, which a list of what is
/// denied would miss.
#[cfg(target_arch = "x86_64")]
static NO_X32: [sock_filter; 4] = {
    /// Of `struct seccomp_data`.
    const NUMBER: u32 = 0;
    const X32: u32 = 0x4000_0000;
    // From linux/bpf_common.h and linux/seccomp.h.
    const LOAD: u16 = 0x20;
    const JUMP_GE: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const KILL_PROCESS: u32 = 0x8000_0000;
    const ALLOW: u32 = 0x7fff_0000;
    [
        sock_filter { code: LOAD, jt: 0, jf: 0, k: NUMBER },
        sock_filter { code: JUMP_GE, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: KILL_PROCESS },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: ALLOW },
    ]
};

/// Whose filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The broker's, inherited by all.
    Broker,
    /// The worker's, on top of the broker's.
    Worker,
    /// An MCP server's, on top of the broker's.
    Child {
        /// It may have internet sockets.
        inet: bool,
        /// It may have Unix sockets other than pairs.
        unix: bool,
    },
}

/// A filter with its name in the policy.
pub type Program = (&'static str, &'static [sock_filter]);

/// The filters of a role in the order in which they are installed: an allowlist comes last, or it would have to allow
/// the installing.
pub fn programs(role: Role) -> impl Iterator<Item = Program> {
    let unix_filter = |unix: bool| (!unix).then_some(("child_no_unix", &CHILD_NO_UNIX[..]));
    let list: Vec<Option<Program>> = match role {
        Role::Broker => vec![
            #[cfg(target_arch = "x86_64")]
            Some(("no_x32", &NO_X32[..])),
            Some(("broker_enosys", &BROKER_ENOSYS[..])),
            Some(("broker_deny", &BROKER_DENY[..])),
        ],
        Role::Worker => {
            vec![Some(("worker_errno", &WORKER_ERRNO[..])), Some(("worker_allow", &WORKER_ALLOW[..]))]
        }
        Role::Child { inet: true, unix } => {
            vec![
                Some(("child_deny", &CHILD_DENY[..])),
                Some(("child_inet", &CHILD_INET[..])),
                unix_filter(unix),
            ]
        }
        Role::Child { inet: false, unix } => {
            vec![
                Some(("child_deny", &CHILD_DENY[..])),
                Some(("child_no_inet", &CHILD_NO_INET[..])),
                unix_filter(unix),
            ]
        }
    };
    list.into_iter().flatten()
}

/// Installs the filters of a role, on every thread and for good.
pub(super) fn install(role: Role) -> Result<(), Failed> {
    for (_, program) in programs(role) {
        apply_filter_all_threads(program)
            .map_err(|error| Failed { step: "seccomp", error: io::Error::other(error) })?;
    }
    Ok(())
}

#[cfg(test)]
#[path = "seccomp_tests.rs"]
mod tests;
