//! What the running kernel can do. Used by every role before it confines itself; changes nothing.
#![expect(
    unsafe_code,
    reason = "the version of Landlock and the actions of seccomp have no safe counterpart"
)]

use std::io;
use std::ptr;

/// From landlock(7): asks for the version instead of creating a ruleset.
const LANDLOCK_CREATE_RULESET_VERSION: libc::c_long = 1;
/// From prctl(2) and the kernel's `uapi/linux/prctl.h`; newer than the C library's headers.
const PR_SET_MDWE: libc::c_int = 65;
const PR_GET_MDWE: libc::c_int = 66;
const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
const PR_MDWE_NO_INHERIT: libc::c_ulong = 2;

/// The version of Landlock's interface, from 1.
///
/// # Errors
/// `Unsupported` (`ENOSYS`) when the kernel was built without it, `EOPNOTSUPP` when it was not enabled at boot.
pub fn landlock_abi() -> io::Result<u8> {
    // SAFETY: with this flag the kernel requires a null pointer and a size of zero, and touches no memory.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<libc::c_void>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    if version < 0 { Err(io::Error::last_os_error()) } else { Ok(u8::try_from(version).unwrap_or(u8::MAX)) }
}

/// Whether seccomp filters can kill a process.
///
/// # Errors
/// When the kernel has no seccomp filters or does not know the action (before 4.14).
pub fn seccomp_kills() -> io::Result<()> {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads one u32 through the pointer, which is valid for the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0_u32, &raw const action) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The release of the kernel, as `uname -r` prints it.
#[must_use]
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Threads and processes that exist on the machine.
#[must_use]
pub fn tasks() -> u32 {
    u32::from(rustix::system::sysinfo().procs)
}

/// Which memory this process and its children may execute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// Children are bound as well.
    Yes,
    /// Children are not: an MCP server may compile at run time.
    No,
}

/// No memory that was ever writable becomes executable (`PR_SET_MDWE`, Linux 6.3; without inheritance 6.6).
///
/// # Errors
/// `InvalidInput` when the kernel does not know it.
pub fn refuse_exec_gain(inherit: Inherit) -> io::Result<()> {
    let flags = match inherit {
        Inherit::Yes => PR_MDWE_REFUSE_EXEC_GAIN,
        Inherit::No => PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT,
    };
    let none: libc::c_ulong = 0;
    // SAFETY: integers go in; the call changes attributes of this process and touches no memory.
    let answer = unsafe { libc::prctl(PR_SET_MDWE, flags, none, none, none) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether [`refuse_exec_gain`] is in force.
#[must_use]
pub fn exec_gain_refused() -> bool {
    let none: libc::c_ulong = 0;
    // SAFETY: integers go in; the call touches no memory. A kernel that does not know it answers -1.
    unsafe { libc::prctl(PR_GET_MDWE, none, none, none, none) > 0 }
}
