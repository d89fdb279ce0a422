//! Whether the workers move, and with that what the service manager's watchdog is told. Broker only.
//!
//! A worker is wedged when its event loop or its poll loop is late against what it announced itself, or when a call is
//! still not ended well after its deadline. Peers that are slow, absent or cut off make none of that happen. A wedged
//! worker is killed and replaced here; the service manager is for the case that this process does not move, or cannot
//! get rid of the worker.

use std::time::{Duration, Instant};

use super::service::Broker;
use super::supervise::Worker;
use crate::ipc::msg::BEAT_EVERY;

/// How late a loop, or the end of a call, may be: a machine under load is slow, but not that slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// A look that comes so late says that this process did not run either: the machine, or all of the service, stood
/// still, and what the workers did not do in that time is not held against them.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// What is known of the loops of one worker.
#[derive(Debug)]
pub(super) struct Pulse {
    heard: Instant,
    late: Duration,
    /// It was found wedged, and is to be gone.
    condemned: bool,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, late: Duration::ZERO, condemned: false }
    }

    /// The worker said that its loops move, the poll loop so late.
    pub(super) fn beat(&mut self, late: Duration, now: Instant) {
        (self.heard, self.late) = (now, late);
    }

    /// Begins anew.
    fn excuse(&mut self, now: Instant) {
        self.beat(Duration::ZERO, now);
    }

    /// Which part does not move. `overdue` is how long the deadlines of its calls have passed.
    fn wedged(&self, mut overdue: impl Iterator<Item = Duration>, now: Instant) -> Option<&'static str> {
        let silent = now.saturating_duration_since(self.heard);
        if silent > BEAT_EVERY + PATIENCE {
            Some("its event loop does not move")
        } else if self.late > PATIENCE {
            Some("its poll loop does not move")
        } else if overdue.any(|by| by > PATIENCE) {
            Some("a call does not end although its deadline has passed")
        } else {
            None
        }
    }
}

/// When to look again.
#[derive(Debug)]
pub(super) struct Watch(Instant);

impl Watch {
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// When [`Broker::watch`] has something to do.
    pub(super) fn at(&self) -> Instant {
        self.0
    }
}

impl Broker {
    /// Condemns workers that are wedged, and tells the service manager that all is well if it is.
    pub(super) fn watch(&mut self, now: Instant) {
        let Some(late) = now.checked_duration_since(self.watch.0) else { return };
        let every = self.notify.alive_every().unwrap_or(BEAT_EVERY).min(BEAT_EVERY);
        self.watch.0 = now + every;
        for worker in &mut self.workers {
            if !worker.serves() || late > STOOD_STILL {
                worker.pulse.excuse(now);
            } else if let Some(why) = worker.pulse.wedged(worker.held().map(|call| call.overdue(now)), now) {
                worker.pulse.condemned = true;
                // It is killed when its limits are looked at, which comes next.
                worker.limit = Some((now, why));
            }
        }
        if !self.workers.iter().any(Worker::is_condemned) {
            self.notify.alive();
        }
    }
}

impl Worker {
    /// Whether it was found wedged and is not gone yet.
    fn is_condemned(&self) -> bool {
        self.pulse.condemned
    }
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
