//! Long polls that are cut off: by a proxy or gateway that ends what is idle for too long, as many do. Pure; times
//! are given by the caller.
//!
//! A cut is no outage: the next poll is sent at once. When cuts come regularly, polls are asked to end before the
//! next one is due, and from time to time one is asked to last as long as it should, to see whether it may again.

use std::time::Duration;

use tokio::time::Instant;

/// A poll that ended earlier was not cut off for being idle.
const YOUNGEST: Duration = Duration::from_secs(3);
/// So many cuts in a row at nearly one age are regular.
const REGULAR: usize = 3;
/// What is nearly one age: within this, or within a tenth of it if that is more.
const SPREAD: Duration = Duration::from_secs(1);
/// The shortest poll that is asked for.
const SHORTEST: Duration = Duration::from_secs(1);
/// How long shorter polls are asked for before a long one is tried; doubled whenever that is cut off.
const FIRST_TRIAL: Duration = Duration::from_secs(600);
const LAST_TRIAL: Duration = Duration::from_secs(4 * 3600);

/// What is known of cuts.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// A poll has succeeded since the last failure that was no cut.
    worked: bool,
    /// The ages of the last cuts in a row.
    ages: Vec<Duration>,
    bound: Option<Bound>,
}

#[derive(Clone, Copy, Debug)]
struct Bound {
    /// The age at which polls are cut.
    age: Duration,
    trial_at: Instant,
    pause: Duration,
}

/// What to make of a poll that was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The first one in a row.
    First,
    /// Not the first, and nothing new.
    Again,
    /// From now on polls are asked to last no longer than this.
    Bounded(Duration),
}

impl Cuts {
    /// How long the next poll may last, when it should last `wanted`.
    #[must_use]
    pub fn limit(&self, wanted: Duration, now: Instant) -> Duration {
        match self.bound {
            Some(bound) if now < bound.trial_at => wanted.min(below(bound.age)),
            _ => wanted,
        }
    }

    /// A poll succeeded after `age`. Says whether it lasted longer than polls used to be allowed to.
    pub fn succeeded(&mut self, age: Duration) -> bool {
        self.worked = true;
        // One that brings commands early says nothing about how long it could have lasted.
        if self.ages.last().is_some_and(|cut| age > *cut) {
            self.ages.clear();
        }
        let outlived = self.bound.is_some_and(|bound| age > bound.age.saturating_add(SPREAD));
        if outlived {
            self.bound = None;
        }
        outlived
    }

    /// A poll failed in another way: the next cut may be part of an outage.
    pub fn failed(&mut self) {
        self.worked = false;
        self.ages.clear();
    }

    /// The connection ended under a poll after `age`. `None` when that is a failure like others.
    pub fn cut(&mut self, age: Duration, now: Instant) -> Option<Cut> {
        if !self.worked || age < YOUNGEST {
            self.failed();
            return None;
        }
        if let Some(bound) = &mut self.bound
            && now >= bound.trial_at
        {
            // The trial: nothing has changed.
            bound.pause = bound.pause.saturating_mul(2).min(LAST_TRIAL);
            bound.trial_at = now + bound.pause;
            bound.age = bound.age.min(age);
            return Some(Cut::Again);
        }
        let near = |known: &Duration| known.abs_diff(age) <= SPREAD.max(age / 10);
        if !self.ages.iter().all(near) {
            self.ages.clear();
        }
        self.ages.push(age);
        if self.ages.len() < REGULAR {
            return Some(if self.ages.len() == 1 { Cut::First } else { Cut::Again });
        }
        let age = self.ages.drain(..).min().unwrap_or(age);
        let pause = self.bound.map_or(FIRST_TRIAL, |bound| bound.pause);
        self.bound = Some(Bound { age, trial_at: now + pause, pause });
        Some(Cut::Bounded(below(age)))
    }
}

/// Well below the age at which polls are cut.
fn below(age: Duration) -> Duration {
    (age / 5).saturating_mul(4).max(SHORTEST)
}

#[cfg(test)]
#[path = "cuts_tests.rs"]
mod tests;
