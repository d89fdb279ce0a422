//! Descriptors on the worker's runtime.
#![expect(unsafe_code, reason = "tokio cannot see that an OwnedFd keeps its descriptor open")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor for reading and writing after making it non-blocking. Must be called inside the runtime.
///
/// # Errors
/// When the runtime cannot watch it.
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    super::fds::set_nonblocking(&fd)?;
    // SAFETY: an `OwnedFd` is open, owns its descriptor alone and always names the same one. It is moved in here,
    // and `AsyncFd` gives it out as a shared reference only, so it stays open until the `AsyncFd` ends.
    let watched = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE | Interest::WRITABLE) };
    Ok(watched?)
}
