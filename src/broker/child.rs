//! One stdio MCP server: its pipes, which worker uses them, its stderr, and the sequence that stops it. Broker only.
//!
//! The broker keeps its own ends of the pipes, to hand them from worker to worker. It never reads or writes them; they
//! are closed when the server is to end.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::handing::WorkerId;
use super::relay::{Bounds, Relay};
use super::spawn::{Launched, Process};
use crate::ipc::msg::{Carried, Era};
use crate::ipc::order::MAX_REPORT;
use crate::log::{Log, Value};
use crate::sys::process::Kill;
use crate::sys::{message, poll};

/// How long launch may take to become the server.
pub const START_LIMIT: Duration = Duration::from_secs(10);

/// Names one start of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    /// Its place in the configuration.
    pub index: u8,
    /// Counts the starts of the command.
    pub generation: u32,
}

/// What of a child is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Launch says how it went.
    Status,
    /// It wrote to stderr.
    Stderr,
    /// It ended.
    Exit,
}

/// The pipes that the worker gets.
#[derive(Debug)]
pub struct Pipes {
    /// The end to write to.
    pub stdin: OwnedFd,
    /// The end to read from.
    pub stdout: OwnedFd,
}

/// How far the start has come.
#[derive(Debug)]
enum Phase {
    /// Launch has not reported yet.
    Launching { status: OwnedFd, until: Instant },
    /// The server runs.
    Running,
    /// It never became the server; its end is waited for.
    Void,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Runs, and is started again when it ends.
    Wanted,
    /// Is being stopped. The moments of SIGTERM (until sent) and SIGKILL; `again`: started again when it ended.
    Stopping { ask: Option<Instant>, force: Instant, again: bool },
}

/// A child of the broker.
#[derive(Debug)]
pub struct Child {
    /// Which.
    pub id: Id,
    /// For which era, as far as the broker knows.
    pub era: Option<Era>,
    /// The process, the leader of its group.
    pub process: Process,
    /// Its stderr.
    pub stderr: Relay,
    /// What the last worker knew of it.
    pub carried: Option<Carried>,
    /// Who uses it.
    pub holder: Option<WorkerId>,
    /// Who needs it, in the order of asking.
    pub wanted_by: Vec<WorkerId>,
    /// Who gave it back: does not get it again without asking for it.
    pub given_up_by: Option<WorkerId>,
    /// The holder was told to give it back.
    pub asked_back: bool,
    pipes: Option<Pipes>,
    phase: Phase,
    life: Life,
}

impl Child {
    /// One that launch has just been started for.
    #[must_use]
    pub fn new(id: Id, era: Option<Era>, launched: Launched, channel: &str, now: Instant) -> Self {
        let pipes = Pipes { stdin: launched.stdin, stdout: launched.stdout };
        Self {
            id,
            era,
            process: launched.process,
            stderr: Relay::new(launched.stderr, format!("mcp {channel}"), Bounds::CHILD, now),
            carried: None,
            holder: None,
            wanted_by: Vec::new(),
            given_up_by: None,
            asked_back: false,
            pipes: Some(pipes),
            phase: Phase::Launching { status: launched.status, until: now + START_LIMIT },
            life: Life::Wanted,
        }
    }

    /// What to wait for.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Id, Part)> {
        let status = match &self.phase {
            Phase::Launching { status, .. } => Some((status.as_fd(), self.id, Part::Status)),
            Phase::Running | Phase::Void => None,
        };
        let stderr = self.stderr.fd().map(|fd| (fd, self.id, Part::Stderr));
        let exit = (self.process.exit_fd(), self.id, Part::Exit);
        status.into_iter().chain(stderr).chain(std::iter::once(exit))
    }

    /// Waits until launch has reported, for at most [`START_LIMIT`].
    pub fn wait(&self) {
        if let Phase::Launching { status, .. } = &self.phase {
            // A failure or a timeout shows when the report is read.
            let _ = poll::wait(&[poll::Interest::read(status.as_fd())], Some(START_LIMIT));
        }
    }

    /// Reads what launch reports: `true` once, when it has become the server.
    ///
    /// # Errors
    /// Why it could not become the server. It ends by itself.
    pub fn settle(&mut self) -> io::Result<bool> {
        let Phase::Launching { status, .. } = &self.phase else { return Ok(false) };
        let mut report = [0; MAX_REPORT];
        let result = match message::recv(status, &mut report) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Ok(end) if end.len == 0 => Ok(()),
            Ok(said) => Err(io::Error::other(
                String::from_utf8_lossy(report.get(..said.len).unwrap_or_default()).into_owned(),
            )),
            // An order that was never read: launch died before.
            Err(e) => Err(e),
        };
        self.phase = if result.is_ok() { Phase::Running } else { Phase::Void };
        if result.is_err() {
            self.pipes = None;
        }
        result.map(|()| true)
    }

    /// Whether launch has not reported yet.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Launching { .. })
    }

    /// Whether launch has become the server, and it is not being stopped.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self.phase, Phase::Running) && !self.is_stopping()
    }

    /// Gives it to a worker.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn give(&mut self, to: WorkerId) -> io::Result<Option<Pipes>> {
        let Some(Pipes { stdin, stdout }) = &self.pipes else { return Ok(None) };
        let pipes = Pipes { stdin: stdin.try_clone()?, stdout: stdout.try_clone()? };
        self.holder = Some(to);
        self.asked_back = false;
        self.wanted_by.retain(|wants| *wants != to);
        Ok(Some(pipes))
    }

    /// A worker needs it.
    pub fn want(&mut self, by: WorkerId) {
        if !self.wanted_by.contains(&by) {
            self.wanted_by.push(by);
        }
    }

    /// Whether it is being stopped.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.life != Life::Wanted
    }

    /// Whether it is started again when it ends: it is, or will be, what a worker that asks for its era gets.
    #[must_use]
    pub fn comes_again(&self) -> bool {
        match self.life {
            Life::Wanted => true,
            Life::Stopping { again, .. } => again,
        }
    }

    /// Begins the stop sequence, or makes one that has begun no slower, and final when `again` is not wanted any more.
    pub fn stop(&mut self, ask: Instant, force: Instant, again: bool) {
        if let Phase::Launching { .. } = self.phase {
            self.phase = Phase::Void;
        }
        // Their closing is the first request to end.
        self.pipes = None;
        self.life = match self.life {
            Life::Wanted => Life::Stopping { ask: Some(ask), force, again },
            Life::Stopping { ask: planned, force: forced, again: before } => Life::Stopping {
                ask: planned.map(|p| p.min(ask)),
                force: forced.min(force),
                again: before && again,
            },
        };
    }

    /// Sends the signals that are due.
    pub fn tick(&mut self, now: Instant, log: &Log) {
        let mut kill = None;
        if let Life::Stopping { ask, .. } = &mut self.life
            && ask.is_some_and(|at| at <= now)
        {
            *ask = None;
            kill = Some(Kill::Ask);
        }
        let force = match (&mut self.life, &mut self.phase) {
            (Life::Stopping { force, .. }, _) => Some(force),
            (Life::Wanted, Phase::Launching { until, .. }) => Some(until),
            (Life::Wanted, Phase::Running | Phase::Void) => None,
        };
        if let Some(force) = force.filter(|at| **at <= now) {
            // Once a second until the kernel has buried it.
            *force = now + Duration::from_secs(1);
            kill = Some(Kill::Force);
            log.warn(
                "mcpclient",
                "mcp child does not end; killing it",
                &[("pid", self.process.pid().into())],
            );
        }
        if let Some(how) = kill {
            self.process.kill(how);
        }
    }

    /// When [`Child::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match (&self.life, &self.phase) {
            (Life::Stopping { ask, force, .. }, _) => Some(ask.map_or(*force, |a| a.min(*force))),
            (Life::Wanted, Phase::Launching { until, .. }) => Some(*until),
            (Life::Wanted, Phase::Running | Phase::Void) => None,
        }
    }
}

/// How a process ended, as a field of a log line.
#[must_use]
pub fn how_ended(status: ExitStatus) -> (&'static str, Value<'static>) {
    match (status.code(), status.signal()) {
        (Some(code), _) => ("exit_code", code.into()),
        (None, Some(signal)) => ("signal", signal.into()),
        (None, None) => ("status", status.to_string().into()),
    }
}
