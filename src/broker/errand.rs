//! Sending a worker on an errand: for commands that have to meet a peer and must not read a byte of what it says
//! themselves. The worker gets one task, gives one answer and ends.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::spawn::Images;
use crate::ipc::channel::{self, Channel, Received};
use crate::ipc::errand::Errand;
use crate::sys::memfd;
use crate::sys::poll::{self, Interest};
use crate::sys::process::Kill;

/// How long the worker may take to end after its answer.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug)]
pub enum ErrandError {
    /// The system refuses what is needed.
    System(io::Error),
    /// The worker does not speak as it should.
    Broke(channel::Error),
    /// What it says is no answer to this task.
    Strange(serde_json::Error),
    /// It ended, or was ended by its filter, without an answer.
    Ended,
    /// It takes too long.
    Late,
}

impl fmt::Display for ErrandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(e) => write!(f, "the worker cannot be started: {e}"),
            Self::Broke(e) => write!(f, "the worker broke the protocol: {e}"),
            Self::Strange(e) => write!(f, "the worker broke the protocol: {e}"),
            Self::Ended => f.write_str("the worker ended without an answer"),
            Self::Late => f.write_str("the worker does not answer"),
        }
    }
}

impl std::error::Error for ErrandError {}

impl From<io::Error> for ErrandError {
    fn from(e: io::Error) -> Self {
        Self::System(e)
    }
}

/// Gives `task` to a worker started as `role` and waits for its answer, at most for `bound`.
///
/// # Errors
/// When there is none. Whatever happens, the worker is gone afterwards.
pub fn run<T: Serialize, A: DeserializeOwned>(
    role: &str,
    task: &T,
    bound: Duration,
) -> Result<A, ErrandError> {
    run_with(role, task, None, bound)
}

/// The same with a descriptor that goes with the task.
///
/// # Errors
/// As above.
pub fn run_with<T: Serialize, A: DeserializeOwned>(
    role: &str,
    task: &T,
    with: Option<OwnedFd>,
    bound: Duration,
) -> Result<A, ErrandError> {
    let json = Zeroizing::new(serde_json::to_vec(task).map_err(io::Error::other)?);
    let answer = send(role, &json, with, bound)?;
    serde_json::from_str(answer.get()).map_err(ErrandError::Strange)
}

/// The same for any task: the code is there once.
fn send(
    role: &str,
    json: &[u8],
    with: Option<OwnedFd>,
    bound: Duration,
) -> Result<Box<RawValue>, ErrandError> {
    let content = memfd::sealed(json)?;
    let images = Images { worker: vec![role.into()], ..Images::default() };
    let mut started = images.worker()?;
    // What it has to say goes over the socket.
    drop(started.stderr);
    let mut channel: Channel<Errand, Box<RawValue>> = Channel::new(started.socket);
    let fds = [content].into_iter().chain(with).collect();
    channel.queue(&Errand::of(json), fds).map_err(io::Error::other)?;
    let answer = converse(&mut channel, bound);
    drop(channel);
    if answer.is_ok() {
        // A failure to wait shows in the next line.
        let _ = poll::wait(&[Interest::read(started.process.exit_fd())], Some(END_LIMIT));
    }
    if started.process.reap().is_none() {
        started.process.kill(Kill::Force);
        let _ = poll::wait(&[Interest::read(started.process.exit_fd())], Some(END_LIMIT));
        started.process.reap();
    }
    answer
}

fn converse(
    channel: &mut Channel<Errand, Box<RawValue>>,
    bound: Duration,
) -> Result<Box<RawValue>, ErrandError> {
    let until = Instant::now() + bound;
    loop {
        let sent = channel.flush()?;
        match channel.recv() {
            Ok(Received::Frame(answers, fds)) if fds.is_empty() && answers.len() == 1 => {
                return answers.into_iter().next().ok_or(ErrandError::Ended);
            }
            Ok(Received::Frame(..) | Received::Closed) => return Err(ErrandError::Ended),
            Ok(Received::Nothing) => {}
            Err(e) => return Err(ErrandError::Broke(e)),
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrandError::Late);
        }
        poll::wait(&[Interest::read(channel.fd()).or_write(!sent)], Some(left))?;
    }
}
