//! How soon something that died is started again. Pure; the time is given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config::types::Restart;

/// Counts the starts of one worker or one command.
#[derive(Debug)]
pub struct Budget {
    rule: Restart,
    starts: VecDeque<Instant>,
}

/// What the budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Wait this long.
    pub wait: Duration,
    /// The budget is spent: this is the slow pace.
    pub spent: bool,
}

impl Budget {
    /// A full budget.
    #[must_use]
    pub fn new(rule: &Restart) -> Self {
        Self { rule: rule.clone(), starts: VecDeque::new() }
    }

    /// Another rule from now on; what was counted stays.
    pub fn set(&mut self, rule: &Restart) {
        self.rule = rule.clone();
    }

    /// The pause before the next start. Within the budget it doubles from start to start; beyond it, it is the
    /// longest one, without end: nothing that dies ends the service.
    pub fn next(&mut self, now: Instant) -> Pause {
        while self.starts.front().is_some_and(|s| now.saturating_duration_since(*s) >= self.rule.window) {
            self.starts.pop_front();
        }
        let recent = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        if recent >= self.rule.times {
            // One goes, one comes: the list never grows beyond the budget.
            self.starts.pop_front();
            self.starts.push_back(now);
            return Pause { wait: self.rule.backoff_max, spent: true };
        }
        self.starts.push_back(now);
        let factor = 2_u32.saturating_pow(recent);
        let wait = self.rule.backoff_min.saturating_mul(factor).min(self.rule.backoff_max);
        Pause { wait, spent: false }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
