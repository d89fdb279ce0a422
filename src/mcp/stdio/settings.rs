//! What the children of a binding have in common: bounds, switches, counters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::types::Channel;
use crate::log::Log;

/// How often something happened since the start.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Counts one more; returns how many there were.
    pub(super) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// What children have sent that reached no caller.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) skipped: Counter,
    pub(super) late: Counter,
    pub(super) unknown: Counter,
    pub(super) requests: Counter,
    pub(super) dropped: Counter,
}

/// Bounds on waiting that no configuration changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// A call waits this long for a child.
    pub(super) wait: Duration,
    /// A child that is not to be started again sooner is not waited for.
    pub(super) patience: Duration,
    /// How long a child may leave a line half read that nobody waits for.
    pub(super) stall: Duration,
    /// A child that is wanted elsewhere stays this long at least, so that the calls that waited for it are let in.
    pub(super) turn: Duration,
    /// How long giving all children back may take at the end; what they wait for is over by then.
    pub(super) farewell: Duration,
    /// How long the last words of a child are waited for.
    pub(super) linger: Duration,
}

pub(super) const TIMING: Timing = Timing {
    wait: Duration::from_secs(30),
    patience: Duration::from_secs(10),
    stall: Duration::from_secs(30),
    turn: Duration::from_millis(100),
    farewell: Duration::from_millis(1500),
    linger: Duration::from_millis(500),
};

/// What all children of a binding have in common.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) index: u8,
    pub(super) serialize: bool,
    pub(super) send_initialized: bool,
    pub(super) max_age: Duration,
    pub(super) max_line: usize,
    pub(super) timing: Timing,
    pub(super) channel: Channel,
    pub(super) log: Log,
    pub(super) counts: Counts,
}
