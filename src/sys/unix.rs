//! Connecting to a Unix socket without waiting.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// A connection to the stream socket at `path`, close-on-exec and non-blocking.
///
/// # Errors
/// `WouldBlock` while the listener's queue is full; otherwise what the system says.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Unlike TCP, this connects at once or not at all.
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
