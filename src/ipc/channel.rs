//! The socket between broker and worker: frames out, frames in, descriptors with them.
//!
//! The broker uses [`Channel`], which never waits and keeps what the socket does not take yet: a full socket is
//! back-pressure, never a reason to drop. The worker uses [`AsyncChannel`] on its runtime. A frame is sent whole or
//! not at all, and its bounds survive.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::msg::{self, FrameError, MAX_FRAME, MAX_MESSAGES};
use crate::sys::{message, watch};

/// Why nothing more can be said or heard.
#[derive(Debug)]
pub enum Error {
    /// The socket failed, or a frame was cut or brought the wrong kind of control data.
    Socket(io::Error),
    /// The frame is not one of this protocol.
    Frame(FrameError),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(e) => write!(f, "the socket between broker and worker failed: {e}"),
            Self::Frame(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Socket(e)
    }
}

impl From<FrameError> for Error {
    fn from(e: FrameError) -> Self {
        Self::Frame(e)
    }
}

/// What [`Channel::recv`] found.
#[derive(Debug)]
pub enum Received<In> {
    /// A frame and the descriptors that came with it.
    Frame(Vec<In>, Vec<OwnedFd>),
    /// Nothing now.
    Nothing,
    /// The peer is gone.
    Closed,
}

/// A message on its way, and what travels with it.
struct Queued {
    json: Vec<u8>,
    fds: Vec<OwnedFd>,
}

/// The broker's end. `Out` is what it says, `In` what it hears.
pub struct Channel<Out, In> {
    socket: OwnedFd,
    buffer: Box<[u8]>,
    queue: VecDeque<Queued>,
    speaks: PhantomData<fn(Out) -> In>,
}

impl<Out: Serialize, In: DeserializeOwned> Channel<Out, In> {
    /// Over one end of a SEQPACKET pair.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        let buffer = vec![0; MAX_FRAME].into_boxed_slice();
        Self { socket, buffer, queue: VecDeque::new(), speaks: PhantomData }
    }

    /// For polling: readable when there is a frame or the end.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// How many messages [`Channel::flush`] has left to send.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Puts a message behind those not yet sent. One with descriptors gets a frame of its own. The queue is as long
    /// as what the protocol lets the peer ask for.
    ///
    /// # Errors
    /// When the message does not fit into a frame.
    pub fn queue(&mut self, message: &Out, fds: Vec<OwnedFd>) -> Result<(), FrameError> {
        self.queue.push_back(Queued { json: render(message)?, fds });
        Ok(())
    }

    /// Sends what the socket takes, as many messages to a frame as fit. `false`: call again when it is writable.
    ///
    /// # Errors
    /// When the peer is gone.
    pub fn flush(&mut self) -> io::Result<bool> {
        while let Some(first) = self.queue.front() {
            let mut frame = Packer::default();
            let mut count = 0;
            for queued in &self.queue {
                let alone = !queued.fds.is_empty();
                if (alone && count > 0) || !frame.push(&queued.json) {
                    break;
                }
                count += 1;
                if alone {
                    break;
                }
            }
            let fds: Vec<BorrowedFd<'_>> = first.fds.iter().map(|fd| fd.as_fd()).collect();
            match message::send(&self.socket, &frame.finish(), &fds) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => {
                    // Nobody will hear it.
                    self.queue.clear();
                    return Err(e);
                }
            }
            self.queue.drain(..count);
        }
        Ok(true)
    }

    /// The next frame, if there is one.
    ///
    /// # Errors
    /// When the socket fails or the frame is not one of this protocol; descriptors that came with it are closed.
    pub fn recv(&mut self) -> Result<Received<In>, Error> {
        recv(&self.socket, &mut self.buffer)
    }
}

/// The worker's end.
#[derive(Debug)]
pub struct AsyncChannel {
    socket: AsyncFd<OwnedFd>,
    buffer: Mutex<Box<[u8]>>,
}

impl AsyncChannel {
    /// Over the inherited end, see [`crate::sys::pair::from_stdin`]. Must be called inside the runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: watch::watch(socket)?, buffer: Mutex::new(vec![0; MAX_FRAME].into_boxed_slice()) })
    }

    /// The next frame and its descriptors; `None` when the broker is gone. Loses nothing when cancelled.
    ///
    /// # Errors
    /// When the socket fails or the frame is not one of this protocol.
    pub async fn recv<M: DeserializeOwned>(&self) -> Result<Option<(Vec<M>, Vec<OwnedFd>)>, Error> {
        loop {
            let mut ready = self.socket.readable().await?;
            let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            match recv(self.socket.get_ref(), &mut buffer)? {
                Received::Frame(messages, fds) => return Ok(Some((messages, fds))),
                Received::Nothing => ready.clear_ready(),
                Received::Closed => return Ok(None),
            }
        }
    }

    /// Sends messages in their order, in as few frames as they fit into, and waits while the socket is full. One
    /// task should do all sending: frames of two at a time would mix, and the order of `Ask`s matters.
    ///
    /// # Errors
    /// When the broker is gone or a message does not fit into a frame.
    pub async fn send<M: Serialize>(&self, messages: &[M]) -> Result<(), Error> {
        let mut frame = Packer::default();
        for message in messages {
            let json = render(message)?;
            if !frame.push(&json) {
                self.send_frame(&std::mem::take(&mut frame).finish()).await?;
                frame.push(&json);
            }
        }
        if frame.count > 0 {
            self.send_frame(&frame.finish()).await?;
        }
        Ok(())
    }

    async fn send_frame(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, |socket| message::send(socket, frame, &[])).await
    }
}

fn recv<In: DeserializeOwned>(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Received<In>, Error> {
    let got = match message::recv(socket, buffer) {
        // The peer is gone and has left something unread: that is said once, before what it had said itself.
        Err(e) if e.kind() == ErrorKind::ConnectionReset => message::recv(socket, buffer),
        got => got,
    };
    match got {
        Ok(got) if got.len == 0 => Ok(Received::Closed),
        Ok(got) => {
            let frame = buffer.get(..got.len).unwrap_or_default();
            Ok(Received::Frame(msg::decode(frame)?, got.fds))
        }
        Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(Received::Closed),
        Err(e) => Err(Error::Socket(e)),
    }
}

/// One message as JSON, if it fits into a frame of its own.
fn render<M: Serialize>(message: &M) -> Result<Vec<u8>, FrameError> {
    let json = serde_json::to_vec(message).map_err(FrameError::Malformed)?;
    if json.len() + 2 > MAX_FRAME { Err(FrameError::TooLong(json.len())) } else { Ok(json) }
}

/// Puts rendered messages together to one frame, the same bytes as [`msg::encode`] writes.
#[derive(Default)]
struct Packer {
    bytes: Vec<u8>,
    count: usize,
}

impl Packer {
    /// Adds a message, unless the frame is full. The first always fits.
    fn push(&mut self, json: &[u8]) -> bool {
        if self.count == MAX_MESSAGES || (self.count > 0 && self.bytes.len() + 2 + json.len() > MAX_FRAME) {
            return false;
        }
        self.bytes.push(if self.count == 0 { b'[' } else { b',' });
        self.bytes.extend_from_slice(json);
        self.count += 1;
        true
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b']');
        self.bytes
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
