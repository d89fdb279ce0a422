//! The socket pair between broker and worker.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Two connected SEQPACKET sockets, close-on-exec.
///
/// # Errors
/// When no descriptor is left.
pub fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// The worker's end, which it inherits as descriptor 0. Descriptor 0 becomes `/dev/null`.
///
/// # Errors
/// `InvalidInput` when descriptor 0 is not a local SEQPACKET socket, that is, when nobody started us as a worker.
pub fn from_stdin() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    let is_ours = rustix::net::sockopt::socket_type(&stdin) == Ok(SocketType::SEQPACKET)
        && rustix::net::sockopt::socket_domain(&stdin) == Ok(AddressFamily::UNIX);
    if !is_ours {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "descriptor 0 is not the socket of a broker",
        ));
    }
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let null = OpenOptions::new().read(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(null)?;
    Ok(socket)
}

/// Debian's default send buffer of 208 KiB, whatever this machine is set to. The kernel doubles what is asked for.
#[cfg(test)]
pub fn limit_queue(socket: &OwnedFd) {
    rustix::net::sockopt::set_socket_send_buffer_size(socket, 104 * 1024).unwrap();
}
