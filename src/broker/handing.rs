//! Which worker uses which stdio MCP server. Broker only.
//!
//! A server has one user at a time. When another worker needs it, as after a reload, the user finishes what it has
//! written and gives the server back with what is known of it; then the next one gets both. One that nobody uses goes
//! to the worker that serves now, unless it has just given it back. Everything is decided from the state, once in each turn of the loop.

use std::time::{Duration, Instant};

use super::child::{Child, Id, Pipes};
use super::children::{Children, Plan};
use crate::ipc::msg::{Carried, Era};

/// Names one worker among all of a service's life; process numbers come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WorkerId(pub u64);

/// What a worker is told about a child.
#[derive(Debug)]
pub enum About {
    /// It may use it from now on.
    Given(Option<Era>, Option<Carried>, Pipes),
    /// It ended or could not be started; the next one comes after this time.
    Gone(Duration),
    /// It is to be given back.
    Return,
    /// It need not be given back.
    Keep,
    /// Another worker has it and gives it back within this time.
    Elsewhere(Duration),
}

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
    /// A worker wants a child; `seen` is the last start that it knew of. Without effect when there will be one. `true`
    /// when another worker has it.
    pub fn want(&mut self, index: u8, wanted: Era, seen: u32, by: WorkerId, now: Instant) -> bool {
        let suits = |era: Option<Era>| era.is_none_or(|era| era == wanted);
        let elsewhere = |c: &&mut Child| {
            c.id.index == index && !c.is_stopping() && suits(c.era) && (c.holder != Some(by) || c.asked_back)
        };
        if let Some(child) = self.live.iter_mut().find(elsewhere) {
            child.want(by);
            if child.holder.is_none() {
                // Nobody has it, so it can still become what is wanted.
                child.era = Some(wanted);
            }
            return child.holder.is_some();
        }
        let children = self.live.iter_mut().filter(|c| c.id.index == index && c.comes_again());
        let children = children.map(|c| {
            // What the worker has given up it does not have.
            let given = (c.holder == Some(by) && !c.is_stopping()).then_some(c.id.generation);
            (&mut c.era, given)
        });
        let plans = self.planned.iter_mut().filter(|p| p.index == index).map(|p| (&mut p.era, None));
        let mut taken_by = None;
        for (era, given) in children.chain(plans) {
            match (*era, given) {
                (Some(era), _) if era == wanted => return false,
                (Some(_), _) => {}
                (None, Some(generation)) if generation <= seen => taken_by = Some(era),
                // The wish crossed it on the way: the worker takes it, and asks again for what it still lacks.
                (None, Some(_)) => return false,
                (None, None) => {
                    *era = Some(wanted);
                    return false;
                }
            }
        }
        if let Some(era) = taken_by {
            *era = Some(other(wanted));
        }
        self.planned.push(Plan { index, era: Some(wanted), at: now });
        false
    }

    /// A worker gives a server back. Without effect when the server has ended meanwhile.
    pub fn returned(&mut self, id: Id, by: WorkerId, era: Option<Era>, carried: Carried) {
        let child = self.find(id).and_then(|at| self.live.get_mut(at));
        if let Some(child) = child.filter(|child| child.holder == Some(by) && !child.is_stopping()) {
            child.era = era.or(child.era);
            (child.carried, child.holder, child.asked_back) = (Some(carried), None, false);
            child.given_up_by = Some(by);
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
                    let has_it = |user: &&User| {
                        user.is_current
                            && user.slots.contains(&child.id.index)
                            && child.given_up_by != Some(user.id)
                    };
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
                            self.log.error(
                                "mcpclient",
                                "the pipes of a mcp child cannot be passed on",
                                &fields,
                            );
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

const fn other(era: Era) -> Era {
    match era {
        Era::Session => Era::Stateless,
        Era::Stateless => Era::Session,
    }
}

#[cfg(test)]
#[path = "handing_tests.rs"]
mod tests;
