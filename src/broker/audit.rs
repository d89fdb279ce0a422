//! The broker's side of the audit log: what is queued in a turn is committed at its end, and no call is permitted before
//! the record of its decision is. Broker only.
//!
//! Without an `audit` section everything passes through here and nothing is kept.

use std::io;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::handing::WorkerId;
use crate::audit::chain::Key;
use crate::audit::event::Event;
use crate::audit::open::OpenError;
use crate::audit::settings::{Durability, Rotation, Settings};
use crate::audit::writer::Writer;
use crate::config::audit::{self as config, OnFailure};
use crate::health::view::object;
use crate::ipc::digest::hex;
use crate::ipc::msg::Verdict;
use crate::log::Log;

/// What was found when the log was opened.
pub use crate::audit::writer::Found;

/// The log, or nothing.
#[derive(Debug, Default)]
pub struct Audit {
    open: Option<Open>,
    /// Verdicts that wait for the commit of their decisions.
    verdicts: Vec<(WorkerId, u64, Verdict)>,
}

#[derive(Debug)]
struct Open {
    writer: Writer,
    on_failure: OnFailure,
    every: Option<Duration>,
    checkpoint_at: Option<Instant>,
    /// What the names of calls begin with: no two starts of the agent have the same.
    prefix: String,
    calls: u64,
    /// The last reason of a failing poll that was recorded.
    poll: Option<String>,
    /// The number of the first record of this start.
    first: u64,
    /// Commits that failed.
    failures: u64,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Everything is recorded, or nothing is to be.
    Yes,
    /// Everything is recorded, for the first time after it was not.
    Again,
    /// It is not: calls are refused.
    Refuse,
    /// It is not: the service ends.
    Stop,
    /// It is not, and the service goes on.
    Continue,
}

impl Audit {
    /// Opens the log.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn open(config: &config::Audit, instance: &str, now: Instant) -> Result<(Self, Found), OpenError> {
        let settings = Settings {
            directory: config.path.clone(),
            rotation: Rotation {
                size: config.rotation_size,
                age: config.rotation_age,
                files: config.rotation_files,
            },
            durability: match config.durability {
                config::Durability::Each => Durability::Each,
                config::Durability::Batch => Durability::Batch,
                config::Durability::Os => Durability::Os,
            },
            key: config.key.as_ref().and_then(|key| Key::from_hex(key.expose())),
            keeps_decisions: config.on_failure == OnFailure::Continue,
        };
        let (writer, found) = Writer::open(settings)?;
        let first = writer.sequence();
        let open = Open {
            writer,
            on_failure: config.on_failure,
            every: config.checkpoints,
            checkpoint_at: config.checkpoints.map(|every| now + every),
            prefix: instance.get(..12).unwrap_or_default().into(),
            calls: 0,
            poll: None,
            first,
            failures: 0,
        };
        Ok((Self { open: Some(open), verdicts: Vec::new() }, found))
    }

    /// Whether anything is recorded; what costs work to find out need not be found out otherwise.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// Whether records cannot be written.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.writer.is_failing())
    }

    /// How it is, for whoever asks.
    #[must_use]
    pub fn facts(&self) -> Value {
        let Some(open) = &self.open else { return object([("mode", "off".into())]) };
        let mode = match open.on_failure {
            OnFailure::Refuse => "refuse",
            OnFailure::Stop => "stop",
            OnFailure::Continue => "continue",
        };
        object([
            ("mode", Value::from(mode)),
            ("failing", Value::from(open.writer.is_failing())),
            ("next_sequence", Value::from(open.writer.sequence())),
            ("records", Value::from(open.writer.sequence().saturating_sub(open.first))),
            ("failures", Value::from(open.failures)),
        ])
    }

    /// Queues an event.
    pub fn push(&mut self, event: impl FnOnce() -> Event) {
        if let Some(open) = &mut self.open {
            open.writer.push(event());
        }
    }

    /// Queues that polling works (`None`) or why it does not, when that is news.
    pub fn poll(&mut self, reason: Option<&str>) {
        let Some(open) = &mut self.open else { return };
        match reason {
            None => open.writer.push(Event::PollAuthorised {}),
            Some(reason) if open.poll.as_deref() == Some(reason) => return,
            Some(reason) => open.writer.push(Event::PollRefused { reason: reason.into() }),
        }
        open.poll = reason.map(str::to_owned);
    }

    /// A name for a call that is permitted.
    pub fn name(&mut self) -> Option<String> {
        let open = self.open.as_mut()?;
        open.calls = open.calls.saturating_add(1);
        Some(format!("{}-{}", open.prefix, open.calls))
    }

    /// The keyed digest of a digest.
    #[must_use]
    pub fn digest(&self, what: &str, sha256: &str) -> Option<String> {
        self.open.as_ref().map(|open| open.writer.digest(what, sha256.as_bytes()))
    }

    /// A verdict to be told after the commit.
    pub fn defer(&mut self, to: WorkerId, call: u64, verdict: Verdict) {
        self.verdicts.push((to, call, verdict));
    }

    /// The verdicts that waited.
    pub fn deferred(&mut self) -> Vec<(WorkerId, u64, Verdict)> {
        std::mem::take(&mut self.verdicts)
    }

    /// Writes what is queued and does what is due.
    pub fn commit(&mut self, now: Instant, log: &Log) -> Committed {
        let Some(open) = &mut self.open else { return Committed::Yes };
        let was_failing = open.writer.is_failing();
        let result = open.writer.commit(now).and_then(|()| open.writer.tick(now));
        let result = result.and_then(|()| open.checkpoint(now, log));
        if let Some(trouble) = open.writer.trouble() {
            let fields = [("error", trouble.to_string().into())];
            log.error(
                "audit",
                "the next file of the audit log cannot be begun, or an old one not deleted",
                &fields,
            );
        }
        match result {
            Ok(()) if was_failing && !open.writer.is_failing() => {
                log.warn("audit", "the audit log is written again", &[]);
                Committed::Again
            }
            Ok(()) => Committed::Yes,
            Err(e) => open.failed(&e, log),
        }
    }

    /// When [`Audit::commit`] has something to do without any event.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let open = self.open.as_ref()?;
        [open.writer.deadline(now), open.checkpoint_at].into_iter().flatten().min()
    }

    /// The last record.
    pub fn stop(&mut self, exit_code: u8, now: Instant, log: &Log) {
        self.push(|| Event::Stop { exit_code });
        if let Some(open) = &mut self.open {
            open.checkpoint_at = open.every.map(|_| now);
        }
        if self.commit(now, log) == Committed::Yes
            && let Some(open) = &mut self.open
            && let Err(e) = open.writer.sync()
        {
            open.failed(&e, log);
        }
    }
}

impl Open {
    fn checkpoint(&mut self, now: Instant, log: &Log) -> io::Result<()> {
        if self.checkpoint_at.is_none_or(|at| at > now) || self.writer.is_failing() {
            return Ok(());
        }
        self.checkpoint_at = self.every.map(|every| now + every);
        let (sequence, hash) = self.writer.checkpoint(now)?;
        let fields = [("sequence", sequence.into()), ("hash", hex(&hash).into())];
        log.info("audit", "checkpoint", &fields);
        Ok(())
    }

    fn failed(&mut self, error: &io::Error, log: &Log) -> Committed {
        self.failures = self.failures.saturating_add(1);
        let (what, committed) = match self.on_failure {
            OnFailure::Refuse => ("the audit log cannot be written; calls are refused", Committed::Refuse),
            OnFailure::Stop => ("the audit log cannot be written; the service ends", Committed::Stop),
            OnFailure::Continue => {
                ("the audit log cannot be written; calls are not recorded", Committed::Continue)
            }
        };
        log.error("audit", what, &[("error", error.to_string().into())]);
        committed
    }
}
