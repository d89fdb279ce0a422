//! Says to the broker that the loops of this process move. Worker only.
//!
//! A beat that does not come tells of an event loop that is stuck; what a beat says tells of a poll loop that is. The
//! broker judges both: a process that is wedged cannot. Nothing is late because a peer is: the poll loop announces
//! its waits, and where it waits for room it announces none, since calls have deadlines that the broker knows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::link::Link;
use crate::ipc::msg::{BEAT_EVERY, FromWorker};

/// When the poll loop moves next; `None` while it waits for something without an end of its own. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Option<Instant>>>);

impl Pulse {
    /// The poll loop moves again after `wait` at the latest.
    pub fn moves_within(&self, wait: Duration) {
        self.set(Instant::now().checked_add(wait));
    }

    /// The poll loop waits for others, or has ended.
    pub fn rest(&self) {
        self.set(None);
    }

    fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// By how much the poll loop is late.
    fn late(&self) -> Duration {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.map_or(Duration::ZERO, |at| Instant::now().saturating_duration_since(at))
    }

    /// Beats as long as the worker lives.
    pub async fn beat(self, link: Link) {
        loop {
            let late_ms = u64::try_from(self.late().as_millis()).unwrap_or(u64::MAX);
            link.tell(FromWorker::Beat { late_ms });
            sleep(BEAT_EVERY).await;
        }
    }
}

#[cfg(test)]
#[path = "pulse_tests.rs"]
mod tests;
