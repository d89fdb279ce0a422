//! Which worker uses which stdio MCP server. Broker only.
//!
//! A server has one user at a time. When another worker needs it, as after a reload, the user finishes what it has
//! written and gives the server back with what is known of it; then the next one gets both. One that nobody uses goes
//! to the worker that serves now. Everything is decided from the state, once in each turn of the loop.

use super::child::Id;
use super::children::Children;
use super::supervise::{About, WorkerId};
use crate::ipc::msg::{Carried, Era};

/// A worker that may be given servers.
#[derive(Clone, Debug)]
pub struct User {
    /// Which.
    pub id: WorkerId,
    /// The slots of its commands.
    pub slots: Vec<u8>,
    /// It gets what nobody else uses.
    pub is_current: bool,
}

impl Children {
    /// A worker gives a server back. Without effect when the server has ended meanwhile.
    pub fn returned(&mut self, id: Id, by: WorkerId, era: Option<Era>, carried: Carried) {
        let child = self.find(id).and_then(|at| self.live.get_mut(at));
        if let Some(child) = child.filter(|child| child.holder == Some(by) && !child.is_stopping()) {
            child.era = era.or(child.era);
            (child.carried, child.holder, child.asked_back) = (Some(carried), None, false);
        }
    }

    /// What the workers are to be told so that every server gets to whom it should.
    pub fn hand_out(&mut self, users: &[User]) -> Vec<(WorkerId, Id, About)> {
        let mut orders = Vec::new();
        let serves = |id: WorkerId| users.iter().any(|user| user.id == id);
        for child in self.live.iter_mut().filter(|child| child.serves()) {
            child.wanted_by.retain(|by| serves(*by));
            match child.holder {
                None => {
                    let has_it = |user: &&User| user.is_current && user.slots.contains(&child.id.index);
                    let next = child.wanted_by.first().copied();
                    let next = next.or_else(|| users.iter().find(has_it).map(|user| user.id));
                    let Some(next) = next else { continue };
                    match child.give(next) {
                        Ok(Some(pipes)) => {
                            let about = About::Given(child.era, child.carried.take(), pipes);
                            orders.push((next, child.id, about));
                        }
                        Ok(None) => {}
                        Err(e) => {
                            let fields = [("error", e.to_string().into())];
                            self.log.error("mcpclient", "the pipes of a mcp child cannot be passed on", &fields);
                        }
                    }
                }
                Some(holder) => {
                    let wanted = child.wanted_by.iter().any(|by| *by != holder);
                    if wanted != child.asked_back {
                        child.asked_back = wanted;
                        orders.push((holder, child.id, if wanted { About::Return } else { About::Keep }));
                    }
                }
            }
        }
        orders
    }
}

#[cfg(test)]
#[path = "handing_tests.rs"]
mod tests;
