//! Unix sockets of MCP servers: connected here, used by the worker, which may not make a socket of that kind. Broker
//! only; no byte passes through.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::sys::unix;

/// How long a server may leave its queue full.
const LIMIT: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile: the kernel does not tell when there is room.
const PACE: Duration = Duration::from_millis(20);

/// What became of a request of the worker.
#[derive(Debug)]
pub struct Answer {
    /// Which request.
    pub ticket: u32,
    /// The connection, or the number of the error.
    pub result: Result<OwnedFd, i32>,
}

#[derive(Debug)]
struct Waiting {
    binding: u8,
    ticket: u32,
    until: Instant,
}

/// The configured sockets, and the requests of one worker that wait for room.
#[derive(Debug)]
pub struct Sockets {
    paths: BTreeMap<u8, PathBuf>,
    waiting: Vec<Waiting>,
    again: Option<Instant>,
}

impl Sockets {
    /// Paths by the place of their binding.
    #[must_use]
    pub fn new(paths: BTreeMap<u8, PathBuf>) -> Self {
        Self { paths, waiting: Vec::new(), again: None }
    }

    /// Connects, if that can be done at once.
    pub fn want(&mut self, binding: u8, ticket: u32, now: Instant, answers: &mut Vec<Answer>) {
        self.attempt(Waiting { binding, ticket, until: now + LIMIT }, now, answers);
        self.plan(now);
    }

    /// When [`Sockets::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.again
    }

    /// Tries again what had to wait.
    pub fn tick(&mut self, now: Instant, answers: &mut Vec<Answer>) {
        if self.again.is_none_or(|at| at > now) {
            return;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.attempt(waiting, now, answers);
        }
        self.plan(now);
    }

    fn plan(&mut self, now: Instant) {
        self.again = (!self.waiting.is_empty()).then(|| now + PACE);
    }

    fn attempt(&mut self, waiting: Waiting, now: Instant, answers: &mut Vec<Answer>) {
        let connected = match self.paths.get(&waiting.binding) {
            Some(path) => unix::connect(path),
            None => Err(ErrorKind::NotFound.into()),
        };
        let result = match connected {
            Ok(socket) => Ok(socket),
            Err(e) if e.kind() == ErrorKind::WouldBlock && now < waiting.until => {
                return self.waiting.push(waiting);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Err(TIMED_OUT),
            Err(e) => Err(number(&e)),
        };
        answers.push(Answer { ticket: waiting.ticket, result });
    }
}

const TIMED_OUT: i32 = rustix::io::Errno::TIMEDOUT.raw_os_error();

/// The number of an error; one of our own making has none.
fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or_else(|| match error.kind() {
        ErrorKind::NotFound => rustix::io::Errno::NOENT.raw_os_error(),
        _ => rustix::io::Errno::IO.raw_os_error(),
    })
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
