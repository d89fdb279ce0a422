//! How the stdio MCP servers are, for readiness and for whoever asks. Broker only.

use super::child::Child;
use super::children::Children;
use crate::health::ready::Server;

impl Children {
    /// How the server of a slot is.
    #[must_use]
    pub fn state(&self, index: u8) -> Server<'static> {
        let mut live = self.live.iter().filter(|c| c.id.index == index);
        let is_spent = self.slots.get(index).is_some_and(|slot| slot.spent);
        if live.clone().any(Child::serves) {
            Server::Fine
        } else if self.planned.iter().any(|plan| plan.index == index) {
            if is_spent { Server::Spent } else { Server::Restarting }
        } else if live.any(Child::is_starting) {
            if is_spent { Server::Spent } else { Server::Starting }
        } else {
            Server::Restarting
        }
    }

    /// The same in a word, and how often it was started anew.
    #[must_use]
    pub fn standing(&self, index: u8) -> (&'static str, u32) {
        let word = match self.state(index) {
            Server::Fine | Server::Unknown | Server::Unreachable(_) => "running",
            Server::Starting => "starting",
            Server::Restarting => "restarting",
            Server::Spent => "failing",
        };
        (word, self.slots.get(index).map_or(0, |slot| slot.restarts))
    }
}
