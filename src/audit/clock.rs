//! The two times of a record: seconds since 1970, and microseconds of the monotonic clock. Broker and commands.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A moment, and what the monotonic clock showed then: asking it for every record would be a system call each.
#[derive(Debug)]
pub struct Clock {
    since: Instant,
    us: u64,
}

impl Clock {
    /// Asks the clock.
    #[must_use]
    pub fn new() -> Self {
        let (now, since) = (clock_gettime(ClockId::Monotonic), Instant::now());
        let us = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        Self { since, us: u64::try_from(us).unwrap_or_default() }
    }

    /// What it shows at `now`.
    #[must_use]
    pub fn mono_us(&self, now: Instant) -> u64 {
        let passed = u64::try_from(now.saturating_duration_since(self.since).as_micros());
        self.us.saturating_add(passed.unwrap_or(u64::MAX))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Seconds since 1970.
#[must_use]
pub fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
