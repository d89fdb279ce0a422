//! The requests that one child has not answered, under ids of our own. Pure.
//!
//! Callers choose ids without knowing of each other, so every request gets a number that no other request to the
//! same child ever has. That is why a late answer can never be taken for another's, and why an id that a caller
//! uses again needs no alias: only our numbers reach the child. Numbers of requests whose caller has gone are kept
//! as *retired* to tell a late answer from an invented one and to know that stray notifications may belong to them.
//! Beyond [`MAX_RETIRED`] the oldest is forgotten; its answer is dropped all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::inbox::Inbox;
use crate::ipc::msg::MAX_RETIRED;
use crate::mcp::ids::same_id;

/// One request in flight.
#[derive(Debug)]
pub(super) struct Entry {
    /// The caller's id, raw.
    pub(super) id: String,
    /// The caller's progress token, raw.
    pub(super) token: Option<String>,
    /// Whether it is an `initialize`.
    pub(super) initialize: bool,
    /// Where its caller listens.
    pub(super) inbox: Arc<Inbox>,
}

/// What is known about a number that a child names.
#[derive(Debug)]
pub(super) enum Found {
    /// The request, no longer in flight.
    Waiting(Entry),
    /// Its caller has gone.
    Retired,
    /// Never given out, answered before, or forgotten.
    Unknown,
}

/// The table of one child.
#[derive(Debug, Default)]
pub(super) struct Table {
    last: u64,
    // Ordered by number, which is by age.
    waiting: BTreeMap<u64, Entry>,
    retired: BTreeSet<u64>,
}

impl Table {
    /// Where another table ended: nothing is in flight, and the numbers go on.
    pub(super) fn resume(last: u64, retired: impl IntoIterator<Item = u64>) -> Self {
        let mut kept = BTreeSet::new();
        kept.extend(retired.into_iter().take(MAX_RETIRED));
        Self { last, waiting: BTreeMap::new(), retired: kept }
    }

    /// The last number that was given out, and the retired ones; `None` while a request is in flight.
    pub(super) fn idle(&self) -> Option<(u64, &BTreeSet<u64>)> {
        self.waiting.is_empty().then_some((self.last, &self.retired))
    }

    /// The number for the next request; each is given out once.
    pub(super) fn issue(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Puts a request in flight under a number from [`Self::issue`].
    pub(super) fn insert(&mut self, number: u64, entry: Entry) {
        self.waiting.insert(number, entry);
    }

    /// Ends a request because the child answered it.
    pub(super) fn answered(&mut self, number: u64) -> Found {
        match self.waiting.remove(&number) {
            Some(entry) => Found::Waiting(entry),
            None if self.retired.remove(&number) => Found::Retired,
            None => Found::Unknown,
        }
    }

    /// Ends a request because its caller has gone. `written`: the child may still answer it.
    pub(super) fn abandon(&mut self, number: u64, written: bool) {
        if self.waiting.remove(&number).is_some() && written {
            self.retired.insert(number);
            if self.retired.len() > MAX_RETIRED {
                self.retired.pop_first();
            }
        }
    }

    /// A request in flight.
    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.waiting.get(&number)
    }

    /// Whom a notification belongs to that names no request: the only one in flight, or, if it is news for everyone,
    /// the oldest. `None` while a retired number is outstanding, for then it may be about that one.
    pub(super) fn listener(&self, for_everyone: bool) -> Option<&Entry> {
        let (_, oldest) = self.waiting.first_key_value()?;
        let clear = self.retired.is_empty() && (for_everyone || self.waiting.len() == 1);
        clear.then_some(oldest)
    }

    /// The number of the only request in flight that its caller calls `id`.
    pub(super) fn only(&self, id: &str) -> Option<u64> {
        let mut same = self.waiting.iter().filter(|(_, entry)| same_id(&entry.id, id));
        let (number, _) = same.next()?;
        same.next().is_none().then_some(*number)
    }

    /// Takes every request out of flight.
    pub(super) fn drain(&mut self) -> BTreeMap<u64, Entry> {
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
