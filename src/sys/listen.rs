//! Sockets that are listened on: made by the broker, accepted from by the worker.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that wait to be accepted: they outlast the moment in which one worker follows another.
const BACKLOG: i32 = 128;
/// Owner and group.
const PRIVATE: Mode = Mode::from_raw_mode(0o660);

/// Listens on an address, close-on-exec and non-blocking; also returns the port that was taken.
///
/// # Errors
/// What the system says.
pub fn tcp(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener.into(), bound))
}

/// Listens on a Unix socket of mode 0660, or less by the umask, in the directory `dir`, close-on-exec and non-blocking. The
/// directory is entered by its number in `/proc`, so that nobody can exchange it on the way.
///
/// # Errors
/// What the system says; `AddrInUse` when something of the name exists.
pub fn unix(dir: impl AsFd, name: &std::ffi::OsStr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // What is bound gets the mode of the socket, as far as the umask lets it (unix(7)): never a moment of more.
    rustix::fs::fchmod(&socket, PRIVATE)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(super::files::within(&dir, name))?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// The next connection, close-on-exec and non-blocking.
///
/// # Errors
/// `WouldBlock` when there is none.
pub fn accept(listener: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)
}

/// Reads what has come.
///
/// # Errors
/// `WouldBlock` when nothing has.
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    let (got, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(got)
}

/// Sends what there is room for. A peer that is gone raises no signal.
///
/// # Errors
/// `WouldBlock` when there is none.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// Says that nothing more will be sent.
pub fn end(socket: impl AsFd) {
    // The peer may have gone; then there is nobody to tell.
    let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
}
