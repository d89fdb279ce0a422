//! Warns of the end of the agent's own certificates while it runs: a start or a reload may be long ago. Broker only.

use std::time::{Duration, Instant, SystemTime};

use crate::config::types::Worker;
use crate::tls::Trust;

/// How often it looks. What is said changes 30, 7 and 1 days before the end.
const EVERY: Duration = Duration::from_secs(3600);

/// What was said last.
#[derive(Debug)]
pub struct Expiry {
    next: Instant,
    said: Vec<String>,
}

impl Expiry {
    /// The start has just looked, and said what there was to say about `config`.
    #[must_use]
    pub fn new(config: &Worker, now: Instant) -> Self {
        Self { next: now + EVERY, said: look(config, SystemTime::now()) }
    }

    /// When to look again.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next
    }

    /// What there is to say and was not said before. Looks only when that is due.
    pub fn news(&mut self, config: &Worker, now: Instant) -> Vec<String> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + EVERY;
        self.look_again(config, SystemTime::now())
    }

    fn look_again(&mut self, config: &Worker, time: SystemTime) -> Vec<String> {
        let before = std::mem::replace(&mut self.said, look(config, time));
        self.said.iter().filter(|line| !before.contains(line)).cloned().collect()
    }
}

/// Warnings and, of what has expired meanwhile, the problems.
fn look(config: &Worker, time: SystemTime) -> Vec<String> {
    let trust = Trust::new(config.ca_pem.as_deref(), config.tls);
    // Anchors were checked when the configuration was read.
    trust.map_or_else(|_| Vec::new(), |trust| trust.check(config, time).unwrap_or_else(|problems| problems))
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
