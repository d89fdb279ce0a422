//! What workers and MCP servers write to stderr, as log lines. Broker only.
//!
//! The writers may be hostile: lines, lines per second and bytes per turn of the loop are bounded, and what they
//! write is never read as anything but text to be logged.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::log::Log;
use crate::sys::fds;

/// Bytes taken from one source in one turn of the loop.
const MAX_TURN: usize = 32 * 1024;

/// What a source may write.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest line in bytes; the rest of it is discarded.
    pub line: usize,
    /// Lines at once, and lines per second after that.
    pub lines: u32,
    /// Its lines may be records, which choose their level, component and fields. Never so for an MCP server, whose
    /// lines could otherwise pass for the agent's own.
    pub records: bool,
}

impl Bounds {
    /// For the worker, whose lines are records with a rate bound of their own in each class.
    pub const WORKER: Self = Self { line: 16 * 1024, lines: 200, records: true };
    /// For an MCP server.
    pub const CHILD: Self = Self { line: 4 * 1024, lines: 50, records: false };
}

/// One source of lines.
#[derive(Debug)]
pub struct Relay {
    source: Option<OwnedFd>,
    role: String,
    bounds: Bounds,
    line: Vec<u8>,
    /// The line was longer than it may be; its rest is being discarded.
    cut: bool,
    tokens: u32,
    refilled: Instant,
    dropped: u64,
}

impl Relay {
    /// Lines of `source`, which is non-blocking, under the name `role`.
    #[must_use]
    pub fn new(source: Option<OwnedFd>, role: String, bounds: Bounds, now: Instant) -> Self {
        let tokens = bounds.lines;
        Self { source, role, bounds, line: Vec::new(), cut: false, tokens, refilled: now, dropped: 0 }
    }

    /// For polling, until the source has ended.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(|s| s.as_fd())
    }

    /// Logs what is there, up to the bound of one turn.
    pub fn turn(&mut self, log: &Log, now: Instant) {
        let mut buffer = [0; 4096];
        for _ in 0..MAX_TURN / buffer.len() {
            let Some(source) = &self.source else { return };
            match fds::read(source, &mut buffer) {
                Ok(n) if n > 0 => self.take(buffer.get(..n).unwrap_or_default(), log, now),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => {
                    self.source = None;
                    self.end_line(log, now);
                }
            }
        }
    }

    /// Logs what is left when the writer is dead. Somebody else may hold the other end open and go on writing:
    /// nobody reads it any more.
    pub fn close(&mut self, log: &Log, now: Instant) {
        self.turn(log, now);
        self.source = None;
        self.end_line(log, now);
        self.report(log);
    }

    fn take(&mut self, bytes: &[u8], log: &Log, now: Instant) {
        let mut lines = bytes.split(|b| *b == b'\n').peekable();
        while let Some(part) = lines.next() {
            let room = self.bounds.line.saturating_sub(self.line.len());
            self.cut |= part.len() > room;
            self.line.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
            if lines.peek().is_some() {
                self.end_line(log, now);
            }
        }
    }

    fn end_line(&mut self, log: &Log, now: Instant) {
        if std::mem::take(&mut self.cut) {
            self.line.extend_from_slice(b" [cut]");
        }
        if !self.line.is_empty() && self.admit(now) {
            self.report(log);
            if self.bounds.records {
                log.record_from_below(&self.role, &self.line);
            } else {
                log.text_from_below(&self.role, &self.line);
            }
        }
        self.line.clear();
    }

    fn admit(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.refilled).as_millis() * u128::from(self.bounds.lines)
            / Duration::from_secs(1).as_millis();
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(self.bounds.lines);
            self.refilled = now;
        }
        if self.tokens == 0 {
            self.dropped += 1;
            return false;
        }
        self.tokens -= 1;
        true
    }

    fn report(&mut self, log: &Log) {
        if self.dropped > 0 {
            let dropped = std::mem::take(&mut self.dropped);
            let fields = [("role", (&self.role).into()), ("lines_dropped", dropped.into())];
            log.warn("broker", "a process below wrote too many lines", &fields);
        }
    }
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
