//! At most once: which request ids were seen, and what became of them. Pure; the time is given.
//!
//! The window outlives workers. It holds digests, not ids, so that its size does not depend on what a peer sends:
//! [`CAPACITY`] entries of a few dozen bytes, for [`AGE`] after the last change of each.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};

use crate::ipc::msg::{Outcome, Verdict};

/// Most ids remembered.
pub const CAPACITY: usize = 65_536;
/// How long an id is remembered after it ended (while it is in flight it is not forgotten).
pub const AGE: Duration = Duration::from_secs(600);

/// The first half of the SHA-256 of a request id: nobody finds two ids with the same one.
type Key = [u8; 16];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A living worker is at it.
    InFlight,
    /// Answered, or its deadline passed.
    Finished,
    /// It may have been forwarded, and no answer arrived.
    InDoubt,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    state: State,
    /// Which place in the ring is the valid one.
    stamp: u64,
}

/// The ids seen lately.
#[derive(Debug, Default)]
pub struct Window {
    entries: HashMap<Key, Entry>,
    /// Every change of an entry in order of time; places whose stamp is not the entry's are left-overs.
    ring: VecDeque<(Instant, u64, Key)>,
    stamps: u64,
}

impl Window {
    /// May the command with this id be forwarded? A permitted one is in flight from here on.
    pub fn judge(&mut self, request_id: &str, now: Instant) -> Verdict {
        self.forget(now);
        let key = key(request_id);
        match self.entries.get(&key).map(|e| e.state) {
            Some(State::InFlight | State::Finished) => Verdict::Duplicate,
            Some(State::InDoubt) => Verdict::InDoubt,
            None => {
                self.mark(key, State::InFlight, now);
                Verdict::Permit
            }
        }
    }

    /// The permitted command ended. One whose answer could not be delivered is in doubt: should it come again, the
    /// control plane has no answer for it and gets a failure.
    pub fn finish(&mut self, request_id: &str, outcome: Outcome, now: Instant) {
        let state = match outcome {
            Outcome::Answered | Outcome::Expired => State::Finished,
            Outcome::Undelivered => State::InDoubt,
        };
        self.mark(key(request_id), state, now);
    }

    /// The worker that had the command is dead.
    pub fn abandon(&mut self, request_id: &str, now: Instant) {
        self.mark(key(request_id), State::InDoubt, now);
    }

    /// The permitted command was not forwarded after all, and is as if it had never come.
    pub fn release(&mut self, request_id: &str) {
        self.entries.remove(&key(request_id));
    }

    fn mark(&mut self, key: Key, state: State, now: Instant) {
        self.stamps = self.stamps.wrapping_add(1);
        let stamp = self.stamps;
        self.entries.insert(key, Entry { state, stamp });
        self.ring.push_back((now, stamp, key));
    }

    /// Drops what is too old or too much. What is in flight moves to the young end instead.
    fn forget(&mut self, now: Instant) {
        for _ in 0..self.ring.len() {
            let Some((at, stamp, key)) = self.ring.front().copied() else { return };
            let current = self.entries.get(&key).filter(|e| e.stamp == stamp).copied();
            let old = now.saturating_duration_since(at) >= AGE;
            if current.is_some() && !old && self.entries.len() < CAPACITY {
                return;
            }
            self.ring.pop_front();
            match current {
                None => {}
                Some(Entry { state: State::InFlight, .. }) => self.mark(key, State::InFlight, now),
                Some(_) => {
                    self.entries.remove(&key);
                }
            }
        }
    }
}

fn key(request_id: &str) -> Key {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(digest(&SHA256, request_id.as_bytes()).as_ref()) {
        *to = *from;
    }
    key
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
