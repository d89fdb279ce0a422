//! What a policy must remember between calls: how many there were, and which definitions of tools were seen. Pure; the time is
//! passed in.
//!
//! Bounded by the policy: a counter for each channel and each name of a rule, a mark for each tool that is pinned.

use std::collections::{HashMap, VecDeque};

use super::canonical;
use super::decide::{Decision, builtin};
use super::json::Node;
use super::rules::{Allowed, Kind, Limits, Pins, Policy};

/// The window of `calls_per_minute`, in milliseconds.
const MINUTE: u64 = 60_000;

/// Whose calls are counted together: those of a channel, or those of a name of a rule on it.
type Key = (String, Option<Allowed>);

#[derive(Debug, Default)]
struct Counter {
    in_flight: usize,
    /// When the calls of the last minute came, oldest first.
    recent: VecDeque<u64>,
}

/// What is remembered.
#[derive(Debug, Default)]
pub struct State {
    counters: HashMap<Key, Counter>,
    /// Of the definitions that were seen, by their places among [`Policy::definitions`]: whether they were the approved
    /// ones when that was the last time.
    seen: Vec<(usize, bool)>,
}

/// A call that counts as in flight until it is given to [`State::release`].
#[derive(Debug, Default)]
#[must_use]
pub struct Ticket(Vec<Key>);

impl State {
    /// Counts a call that the rules allow. `now` is in milliseconds, from any beginning.
    ///
    /// # Errors
    /// The rule that refuses it after all, and why.
    pub fn admit<'p>(
        &mut self,
        policy: &'p Policy,
        channel: &str,
        decision: &Decision<'p>,
        now: u64,
    ) -> Result<Ticket, (&'p str, &'static str)> {
        if let Some((Kind::Tool, tool)) = &decision.name
            && policy.pins == Pins::Enforce
            && (policy.place_of(channel, tool).is_none()
                || self.is_approved(policy, channel, tool) == Some(false))
        {
            return Err((builtin::DRIFT, "the tool's definition is not the approved one"));
        }
        if !decision.request {
            return Ok(Ticket::default());
        }
        let rule = decision.by.and_then(|by| policy.rules.get(by.rule).map(|rule| (by, rule)));
        let own = rule.map(|(by, rule)| (rule.limits, Some(by), [rule.id.as_str(); 2]));
        let shared = (policy.limits, None, [builtin::CALLS_PER_MINUTE, builtin::IN_FLIGHT]);
        let counted = |limits: &Limits| limits.calls_per_minute.is_some() || limits.in_flight.is_some();
        let bounds: Vec<_> = own.into_iter().chain([shared]).filter(|(l, ..)| counted(l)).collect();
        for (limits, by, [often, many]) in &bounds {
            let counter = self.counters.entry((channel.into(), *by)).or_default();
            counter.forget(now);
            if limits.calls_per_minute.is_some_and(|most| counter.recent.len() >= most) {
                return Err((often, "too many calls in the last minute"));
            }
            if limits.in_flight.is_some_and(|most| counter.in_flight >= most) {
                return Err((many, "too many calls at a time"));
            }
        }
        let mut ticket = Ticket::default();
        for (limits, by, _) in bounds {
            let key = (channel.into(), by);
            let counter: &mut Counter = self.counters.entry(key).or_default();
            counter.in_flight += 1;
            if limits.calls_per_minute.is_some() {
                counter.recent.push_back(now);
            }
            ticket.0.push((channel.into(), by));
        }
        Ok(ticket)
    }

    /// The call has ended.
    pub fn release(&mut self, ticket: Ticket) {
        for key in ticket.0 {
            if let Some(counter) = self.counters.get_mut(&key) {
                counter.in_flight = counter.in_flight.saturating_sub(1);
            }
        }
    }

    /// Looks at a definition in a list and remembers what it says; whether it is the approved one.
    pub(super) fn look(&mut self, policy: &Policy, channel: &str, tool: &str, node: &Node<'_>) -> bool {
        let Some(place) = policy.place_of(channel, tool) else { return false };
        let approved =
            policy.definitions.get(place).map(|d| &*d.sha256) == canonical::definition(node).as_deref();
        self.seen.retain(|(seen, _)| *seen != place);
        self.seen.push((place, approved));
        approved
    }

    /// Whether the definition of a tool is the approved one; `None` when it was not seen yet. It is for whoever lets a call
    /// go to find out.
    #[must_use]
    pub fn is_approved(&self, policy: &Policy, channel: &str, tool: &str) -> Option<bool> {
        let place = policy.place_of(channel, tool)?;
        self.seen.iter().find(|(seen, _)| *seen == place).map(|(_, approved)| *approved)
    }

    /// A server says that its tools are others now: none of them was seen.
    pub fn forget(&mut self, policy: &Policy, channel: &str) {
        self.seen.retain(|(place, _)| policy.definitions.get(*place).is_some_and(|d| d.channel != channel));
    }
}

impl Counter {
    fn forget(&mut self, now: u64) {
        while self.recent.front().is_some_and(|then| now.saturating_sub(*then) >= MINUTE) {
            self.recent.pop_front();
        }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
