//! This process and those it started.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{
    DumpableBehavior, Pid, PidfdFlags, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal,
};

/// Asks the kernel to kill this process when the thread that started it ends. Kept across exec. A parent that was
/// gone before is not noticed here: worker and launch see the broker's end of their socket or pipe closed.
///
/// # Errors
/// When the kernel refuses.
pub fn die_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// No core dump, no ptrace or `/proc` access by other processes of the same user, files private by default. Exec
/// resets the second, so every role does this again.
///
/// # Errors
/// When the kernel refuses.
pub fn harden() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    Ok(())
}

/// Whether other processes of the user may look into this one.
#[must_use]
pub fn is_dumpable() -> bool {
    !matches!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable))
}

/// What the worker does first: dies with the broker, shows nothing to its user's other processes, leaves signals to the
/// broker, and takes its end of the socket off descriptor 0.
///
/// # Errors
/// `InvalidInput` when it was not started by a broker; whatever the kernel refuses.
pub fn enter_worker() -> io::Result<OwnedFd> {
    die_with_parent()?;
    harden()?;
    super::signals::leave_to_broker()?;
    super::pair::from_stdin()
}

/// A descriptor that becomes readable when the child `pid` has ended. Only for children not yet waited for, whose
/// number cannot belong to anyone else.
///
/// # Errors
/// When there is no such process or no descriptor is left.
pub fn exit_fd(pid: u32) -> io::Result<OwnedFd> {
    Ok(rustix::process::pidfd_open(to_pid(pid)?, PidfdFlags::empty())?)
}

/// How urgent a request to end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// SIGTERM.
    Ask,
    /// SIGKILL.
    Force,
}

/// Signals every process of the group that `leader` leads. A group without members is no error. To be called before
/// the leader is waited for, so that its number is still its own.
///
/// # Errors
/// When the kernel refuses.
pub fn kill_group(leader: u32, how: Kill) -> io::Result<()> {
    let signal = match how {
        Kill::Ask => Signal::TERM,
        Kill::Force => Signal::KILL,
    };
    match rustix::process::kill_process_group(to_pid(leader)?, signal) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Descendants whose parents have died become children of this process, which can then end them and see them end.
/// Kept across exec, not inherited by fork.
///
/// # Errors
/// When the kernel refuses.
pub fn adopt_orphans() -> io::Result<()> {
    // Any process id turns it on.
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// The children of this process, which has one thread. Empty where the kernel does not tell (`CONFIG_PROC_CHILDREN`).
#[must_use]
pub fn children() -> Vec<u32> {
    let pid = rustix::process::getpid().as_raw_nonzero();
    let list = std::fs::read_to_string(format!("/proc/self/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Kills the child `pid` and takes its status if it has ended. For children that nothing else waits for.
/// `true` when it is gone.
///
/// # Errors
/// When there is no such child.
pub fn kill_and_reap(pid: u32) -> io::Result<bool> {
    let pid = to_pid(pid)?;
    // A child is ours until it is waited for, so the number cannot belong to anyone else.
    rustix::process::kill_process(pid, Signal::KILL)?;
    Ok(rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG)?.is_some())
}

/// How many threads this process has.
///
/// # Errors
/// When `/proc` is not mounted or closed to this process.
pub fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// No program that this process starts gains privileges by being started (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// When the kernel refuses.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

fn to_pid(pid: u32) -> io::Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Sends this process a signal by number.
#[cfg(test)]
pub fn raise(signal: i32) {
    let signal = Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}
