//! The commands that some worker's configuration has, each in a slot of its own. Pure; broker only.
//!
//! Workers count their commands in the order of their configurations; a slot keeps its number for as long as any worker
//! needs the command, unchanged.

use std::collections::BTreeSet;

use super::budget::Budget;
use crate::config::types::{Command, Restart};

/// Most slots: a worker counts its commands in one byte, and those of workers that finish are needed besides.
const MAX_SLOTS: usize = 256;

/// A command, and how often it was started.
#[derive(Debug)]
pub struct Slot {
    /// As the configuration has it.
    wanted: Command,
    /// As it is started: with a directory of its own.
    pub command: Command,
    /// How soon it is started again.
    pub budget: Budget,
    /// How often it was started.
    pub generation: u32,
    /// How often it was planned to start again after an end.
    pub restarts: u32,
    /// The budget was spent at the last of them.
    pub spent: bool,
    /// Some worker has or will have it.
    pub used: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Slots(Vec<Slot>);

impl Slots {
    /// The slot of a command that is in use, unchanged. What is only said about a command does not count.
    #[must_use]
    pub fn find(&self, wanted: &Command) -> Option<u8> {
        let at = self.0.iter().position(|slot| slot.used && is_same(&slot.wanted, wanted));
        at.and_then(|at| u8::try_from(at).ok())
    }

    /// A slot for a new command, which is started as `command`; `live` are those with processes. `None` when all are
    /// taken.
    pub fn add(
        &mut self,
        wanted: &Command,
        command: Command,
        restart: &Restart,
        live: &BTreeSet<u8>,
    ) -> Option<u8> {
        let free = |(at, slot): (usize, &Slot)| {
            (!slot.used && !u8::try_from(at).is_ok_and(|at| live.contains(&at))).then_some(at)
        };
        let at = self.0.iter().enumerate().find_map(free).unwrap_or(self.0.len());
        // Generations go on, so that late news of another command's child is never taken for news of this one's.
        let generation = self.0.get(at).map_or(0, |slot| slot.generation);
        let (wanted, budget) = (wanted.clone(), Budget::new(restart));
        let new = Slot { wanted, command, budget, generation, restarts: 0, spent: false, used: true };
        match self.0.get_mut(at) {
            Some(slot) => *slot = new,
            None if at < MAX_SLOTS => self.0.push(new),
            None => return None,
        }
        u8::try_from(at).ok()
    }

    /// Only these are needed any more.
    pub fn keep_only(&mut self, needed: &BTreeSet<u8>) {
        for (slot, index) in self.0.iter_mut().zip(0..=u8::MAX) {
            slot.used &= needed.contains(&index);
        }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, index: u8) -> Option<&Slot> {
        self.0.get(usize::from(index))
    }

    /// One of them, to change.
    pub fn get_mut(&mut self, index: u8) -> Option<&mut Slot> {
        self.0.get_mut(usize::from(index))
    }
}

/// Whether two commands start the same server.
fn is_same(one: &Command, other: &Command) -> bool {
    let Command { channel, argv, cwd, env, profile, withheld: _ } = one;
    (channel, argv, cwd, env, profile)
        == (&other.channel, &other.argv, &other.cwd, &other.env, &other.profile)
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
