//! One frame over a SEQPACKET socket, descriptors travelling with it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// The most descriptors in one frame.
pub const MAX_FDS: usize = 2;

/// What was received.
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the buffer; 0 is the end of the stream.
    pub len: usize,
    /// The descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Sends one frame, whole or not at all, without waiting.
///
/// # Errors
/// `WouldBlock` when the queue is full, `BrokenPipe` or `ConnectionReset` when the peer is gone, `InvalidInput` for
/// an empty frame or more than [`MAX_FDS`] descriptors.
pub fn send(socket: impl AsFd, frame: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if frame.is_empty() || fds.len() > MAX_FDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(frame)], &mut control, flags)
    })?;
    if sent == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one frame without waiting.
///
/// # Errors
/// `WouldBlock` when there is none; `InvalidData` when the frame is longer than `buffer`, brings more than
/// [`MAX_FDS`] descriptors or control data other than descriptors (all of it is closed then).
pub fn recv(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)
    })?;
    let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    let mut fds = Vec::new();
    for message in control.drain() {
        match message {
            RecvAncillaryMessage::ScmRights(received) => fds.extend(received),
            _ => return invalid("the frame carries foreign control data"),
        }
    }
    if got.flags.contains(ReturnFlags::TRUNC) {
        return invalid("the frame is too long");
    }
    // The space is rounded up for alignment, so one descriptor more may fit without being cut off.
    if got.flags.contains(ReturnFlags::CTRUNC) || fds.len() > MAX_FDS {
        return invalid("the frame carries too many descriptors");
    }
    Ok(Received { len: got.bytes, fds })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
