//! Starting a process of the probe and seeing how it ends.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use super::task::{MAX_WORD, Seen, Task, Word};
use crate::broker::spawn::{Images, Process};
use crate::confine::attempts::Outcome;
use crate::ipc::handed;
use crate::sys::message;
use crate::sys::poll::{self, Interest};
use crate::sys::process::Kill;

/// From its start until a process must have ended: it has nothing to wait for.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A process that was told its task.
pub struct Started {
    process: Process,
    socket: OwnedFd,
    /// What it writes there is not for us, but must have somewhere to go.
    _stderr: Option<OwnedFd>,
}

/// Starts a process for a task.
///
/// # Errors
/// When the kernel has no resources for it.
pub fn start(images: &Images, task: &Task) -> io::Result<Started> {
    let started = images.worker()?;
    handed::hand(&started.socket, task)?;
    Ok(Started { process: started.process, socket: started.socket, _stderr: started.stderr })
}

impl Started {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it says next; `None` when it has ended, or says nothing within `limit`.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn next(&self, limit: Duration) -> io::Result<Option<Word>> {
        poll::wait(&[Interest::read(self.socket.as_fd())], Some(limit))?;
        let mut frame = vec![0; MAX_WORD];
        match message::recv(&self.socket, &mut frame) {
            Ok(got) if got.len == 0 => Ok(None),
            Ok(got) => {
                let word = serde_json::from_slice(frame.get(..got.len).unwrap_or_default());
                word.map(Some).map_err(io::Error::other)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset) => {
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// Ends it.
    pub fn end(mut self) {
        self.process.kill(Kill::Force);
        let _ = self.wait();
    }

    fn wait(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        poll::wait(&[Interest::read(self.process.exit_fd())], Some(ENDS_WITHIN))?;
        if !poll::is_readable(self.process.exit_fd()) {
            self.process.kill(Kill::Force);
            poll::wait(&[Interest::read(self.process.exit_fd())], Some(ENDS_WITHIN))?;
        }
        Ok(self.process.reap())
    }
}

/// Has a task done, and sees how that ends.
#[must_use]
pub fn observe(images: &Images, task: &Task) -> Seen {
    watch(images, task).unwrap_or_else(|e| Seen { failed: Some(e.to_string()), ..Seen::default() })
}

fn watch(images: &Images, task: &Task) -> io::Result<Seen> {
    let mut started = start(images, task)?;
    let mut seen = Seen::default();
    let until = Instant::now().checked_add(ENDS_WITHIN);
    let left = || until.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
    while let Some(word) = started.next(left())? {
        match word {
            Word::Confined(report) => seen.report = Some(*report),
            Word::Ended(outcome) => seen.outcome = Some(outcome),
            Word::Failed(text) => seen.failed = Some(text),
            Word::Ready {} | Word::Seen(_) => {}
        }
    }
    let status = started.wait()?;
    if seen.outcome.is_none() && seen.report.is_some() && task.attempt.is_some() {
        seen.outcome = Some(match status {
            Some(status) => status.signal().map_or(Outcome::Lost, Outcome::Killed),
            None => Outcome::Lost,
        });
        // It became another program, which ended well.
        if status.is_some_and(|status| status.code() == Some(0)) {
            seen.outcome = Some(Outcome::Done);
        }
    }
    if seen.report.is_none() && seen.failed.is_none() {
        let how = status.map_or("is not to be ended".to_string(), |status| status.to_string());
        seen.failed = Some(format!("a process of the probe ended before it was confined: {how}"));
    }
    Ok(seen)
}
