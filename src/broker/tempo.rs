//! How often a worker may tell of its servers and ask how the service is. Broker only; pure, the time is given.

use std::time::Instant;

use super::breach::Breach;

/// An honest worker tells of each of its 31 bindings at most four times a second, and asks at most 50 times.
const PER_SECOND: f64 = 256.0;
/// What it has said while the broker was held up is heard at once: half a minute of it, when the watchdog has ended that.
const AT_ONCE: f64 = 8192.0;

/// What is left.
#[derive(Debug, Default)]
pub struct Tempo {
    used: f64,
    last: Option<Instant>,
}

impl Tempo {
    /// One more.
    ///
    /// # Errors
    /// When it is too many.
    pub fn count(&mut self, now: Instant) -> Result<(), Breach> {
        let passed =
            self.last.replace(now).map_or(0.0, |last| now.saturating_duration_since(last).as_secs_f64());
        self.used = (self.used - passed * PER_SECOND).max(0.0) + 1.0;
        if self.used > AT_ONCE { Err(Breach::TooOften) } else { Ok(()) }
    }
}
