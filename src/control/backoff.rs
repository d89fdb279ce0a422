//! How long to wait after a failure: exponential with full jitter, and what `Retry-After` asks for. Pure.
//!
//! Randomness and the wall clock are given by the caller.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// The bound of the first wait; it doubles with each failure.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait of our own.
const CAP: Duration = Duration::from_secs(10);
/// The longest wait when only an operator can change the outcome.
const CAP_REFUSED: Duration = Duration::from_secs(60);
/// The longest wait that a peer may ask for.
const CAP_RETRY_AFTER: Duration = Duration::from_secs(60);

/// What kind of failure came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It may pass by itself.
    Ordinary,
    /// The peer is not the right one or does not accept who we are: 401, 403, a wrong pin.
    Refused,
}

/// The failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure and returns the wait before the next attempt: uniform between zero and the smaller of
    /// 200 ms · 2^n and the cap of the class, but at least `retry_after`. `up_to(n)` gives a number from 0 to n.
    pub fn next(
        &mut self,
        class: Class,
        retry_after: Option<Duration>,
        up_to: impl FnOnce(u64) -> u64,
    ) -> Duration {
        let cap = match class {
            Class::Ordinary => CAP,
            Class::Refused => CAP_REFUSED,
        };
        let bound =
            2u32.checked_pow(self.failures).and_then(|n| FIRST.checked_mul(n)).unwrap_or(cap).min(cap);
        self.failures = self.failures.saturating_add(1);
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(up_to(millis).min(millis)).max(retry_after.unwrap_or_default())
    }

    /// Notes a success; says whether failures came before it.
    pub fn reset(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }
}

/// The wait that a response asks for (RFC 9110 section 10.2.3: seconds, or a date in one of three formats), at most
/// 60 s. `None` when the header is absent, malformed or a date in the past.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number can have ask for more than the cap.
        let seconds = text.parse().map_or(CAP_RETRY_AFTER, Duration::from_secs);
        return Some(seconds.min(CAP_RETRY_AFTER));
    }
    let wait = httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?;
    Some(wait.min(CAP_RETRY_AFTER))
}

#[cfg(test)]
#[path = "backoff_tests.rs"]
mod tests;
