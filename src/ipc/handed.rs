//! One value handed to a process that was just started: as JSON in a sealed memfd, whose length is the text of the one
//! frame that carries it. Broker and `confinement` hand; launch and the probe's processes receive.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::sys::poll::{self, Interest};
use crate::sys::{memfd, message};

/// How long the value may take to come: it is sent right after, or before, the start.
const WITHIN: Duration = Duration::from_secs(10);
/// The largest value in bytes: the probe's, which holds a configuration for each attempt; a configuration file has at
/// most 1 MiB.
const MAX: u64 = 64 << 20;

/// Hands `value` over `socket`. It waits there until it is received.
///
/// # Errors
/// When memory or descriptors are short, or nobody holds the other end.
pub fn hand<T: Serialize>(socket: &OwnedFd, value: &T) -> io::Result<()> {
    let json = Zeroizing::new(serde_json::to_vec(value).map_err(io::Error::other)?);
    message::send(socket, json.len().to_string().as_bytes(), &[memfd::sealed(&json)?.as_fd()])
}

/// Receives a value.
///
/// # Errors
/// `WouldBlock` when none comes in time; `InvalidData` when what comes is no such value.
pub fn receive<T: DeserializeOwned>(socket: &OwnedFd) -> io::Result<T> {
    poll::wait(&[Interest::read(socket.as_fd())], Some(WITHIN))?;
    let mut frame = [0; 32];
    let got = message::recv(socket, &mut frame)?;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let size = frame.get(..got.len).and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    match (size, &got.fds[..]) {
        (Some(size), [content]) if size <= MAX => {
            let json = Zeroizing::new(memfd::read_sealed(content, size)?);
            // Without what it quotes, which may be secret.
            serde_json::from_slice(&json).map_err(|_| invalid("what was handed over is malformed"))
        }
        _ => Err(invalid("nothing was handed over as it should be")),
    }
}

#[cfg(test)]
#[path = "handed_tests.rs"]
mod tests;
