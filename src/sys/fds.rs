//! Descriptors at the start of a process: nothing inherited is trusted.
#![expect(unsafe_code, reason = "close_range and descriptors known by number have no safe counterpart")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};

/// Makes sure that descriptors 0 to 2 are open (`/dev/null` where they are not) and closes all others. To be called
/// first in `main`, before anything owns a descriptor.
///
/// # Errors
/// When `/dev/null` cannot be opened or the kernel has no `close_range` (before 5.9).
pub fn sanitize() -> io::Result<()> {
    open_standard()?;
    close_range(3, RawFd::MAX)
}

/// Like [`sanitize`], but keeps the inherited descriptor `fd`, marks it close-on-exec and takes ownership of it.
///
/// # Errors
/// As [`sanitize`]; also when `fd` is one of 0 to 2 or is not open.
pub fn sanitize_keeping(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 3 || !is_open(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    open_standard()?;
    if fd > 3 {
        close_range(3, fd - 1)?;
    }
    if fd < RawFd::MAX {
        close_range(fd + 1, RawFd::MAX)?;
    }
    // SAFETY: `fd` is open (checked above) and was inherited, so nothing in this process owns it: std owns only
    // descriptors that it opened itself, and those were closed by number a moment ago.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(owned)
}

/// A copy of `fd` that the next program started keeps. Drop it right after starting it.
///
/// # Errors
/// When no descriptor is left.
pub fn inheritable(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::dup(fd)?)
}

/// A pipe, both ends close-on-exec and blocking: first the end to read from, then the one to write to.
///
/// # Errors
/// When no descriptor is left.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?)
}

/// Makes reads and writes through `fd` return `WouldBlock` instead of waiting. The flag belongs to the open file:
/// the other end of a pipe is not touched.
///
/// # Errors
/// When the kernel refuses.
pub fn set_nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)?)
}

/// Reads once. `Ok(0)` is the end of the stream.
///
/// # Errors
/// `WouldBlock` when `fd` is non-blocking and has nothing; `Interrupted` is retried.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut *buffer))?)
}

/// Writes once.
///
/// # Errors
/// `WouldBlock` when `fd` is non-blocking and full; `Interrupted` is retried.
pub fn write(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::io::write(&fd, bytes))?)
}

fn open_standard() -> io::Result<()> {
    for wanted in 0..3 {
        if !is_open(wanted) {
            // The lowest free number is taken, and all below `wanted` are open.
            let got = OpenOptions::new().read(true).write(true).open("/dev/null")?.into_raw_fd();
            if got != wanted {
                return Err(io::Error::other("a standard descriptor could not be opened"));
            }
            // SAFETY: `got` was opened a line above and is not owned by anything since `into_raw_fd`.
            let null = unsafe { BorrowedFd::borrow_raw(got) };
            rustix::io::fcntl_setfd(null, rustix::io::FdFlags::empty())?;
        }
    }
    Ok(())
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of the descriptor table; a number that is not open gives EBADF.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

fn close_range(first: RawFd, last: RawFd) -> io::Result<()> {
    let (first, last) = (i64::from(first), i64::from(last));
    // SAFETY: three integers go in and no memory is touched. Callers are at the start of the process, where nothing
    // owns a descriptor above 2 but what they exclude.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_i64) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
