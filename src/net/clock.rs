//! How far the clock of a peer is from ours, as its answers tell. Worker only; pure but for the clock.
//!
//! A machine whose clock is wrong finds good certificates expired or not yet valid; what the peer last said of the time
//! tells the operator which of the two it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::DATE;

use super::Error;

/// No answer had a date yet.
const NEVER: i64 = i64::MIN;

/// Seconds that the peer was ahead of us in its last answer. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct PeerClock(Arc<AtomicI64>);

impl Default for PeerClock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(NEVER)))
    }
}

impl PeerClock {
    /// Notes the date of an answer that has just come.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        if let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            self.0.store(ahead(theirs, SystemTime::now()), Ordering::Relaxed);
        }
    }

    /// Seconds that the peer was ahead of us in its last answer.
    pub(super) fn ahead(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ahead| *ahead != NEVER)
    }

    /// Adds to a failure that is about time what is known of it.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.0.load(Ordering::Relaxed) {
            NEVER => error,
            0 => error.and("the peer's clock agreed with ours when it last answered"),
            ahead => {
                let side = if ahead > 0 { "ahead of" } else { "behind" };
                let seconds = ahead.unsigned_abs();
                error.and(&format!("the peer's clock was {seconds} s {side} ours when it last answered"))
            }
        }
    }
}

fn ahead(theirs: SystemTime, ours: SystemTime) -> i64 {
    let seconds = |apart: Duration| i64::try_from(apart.as_secs()).unwrap_or(i64::MAX);
    match theirs.duration_since(ours) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
