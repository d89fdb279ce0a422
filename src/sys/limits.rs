//! Resource limits of this process and of what it starts (`setrlimit(2)`).

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes that a file may grow to.
    FileSize,
    /// Open descriptors.
    Descriptors,
    /// Bytes of address space.
    AddressSpace,
    /// Bytes in POSIX message queues.
    MessageQueues,
    /// Real-time priority.
    RealTime,
    /// Processes and threads of the user.
    Processes,
}

/// Lowers the soft and the hard limit to `value`; a limit that is lower already stays.
///
/// # Errors
/// When the kernel refuses.
pub fn lower(limit: Limit, value: u64) -> io::Result<()> {
    let resource = match limit {
        Limit::FileSize => Resource::Fsize,
        Limit::Descriptors => Resource::Nofile,
        Limit::AddressSpace => Resource::As,
        Limit::MessageQueues => Resource::Msgqueue,
        Limit::RealTime => Resource::Rtprio,
        Limit::Processes => Resource::Nproc,
    };
    let now = getrlimit(resource);
    let least = |old: Option<u64>| Some(old.map_or(value, |old| old.min(value)));
    // A soft limit below is kept low: whoever set it meant it, except for descriptors, where the usual 1024 is for
    // programs that use select(2).
    let current = if limit == Limit::Descriptors { least(now.maximum) } else { least(now.current) };
    Ok(setrlimit(resource, Rlimit { current, maximum: least(now.maximum) })?)
}
