//! What a worker may say when, and whether a command may be forwarded. Pure; the time is given.
//!
//! One [`Permit`] stands for one worker process. The worker parses what the network sends, so it may be anybody:
//! the first message that is not legal here is a [`Breach`], and the broker kills the worker for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

pub use super::breach::Breach;
use super::breach::name;
pub use super::held::Held;
pub use super::step::Step;
use super::tempo::Tempo;
use super::window::Window;
use crate::config::types::Channel;
use crate::ipc::msg::{
    Answer, Ask, CallKind, Denied, FromWorker, MAX_REACH, MAX_REQUEST_ID, MAX_RETIRED, MAX_RPC_ID,
    MAX_SHARD_TOKEN, MAX_UNREAD, Verdict,
};

/// Most permitted calls that have not ended.
pub const MAX_HELD: usize = 12_000;
/// Most requests for a connection that have no answer; an honest worker has half as many.
pub const MAX_TICKETS: usize = 64;
/// Longest reason of a failing poll, in bytes.
pub const MAX_REASON: usize = 512;

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Has not said that it understood its configuration.
    Starting,
    /// Polls and forwards.
    Serving,
    /// Was told to poll no more.
    Draining,
    /// Said that it is done; has nothing more to say.
    Gone,
}

/// The permit table of one worker.
#[derive(Debug)]
pub struct Permit {
    state: State,
    drain: bool,
    channels: Vec<Channel>,
    last_call: Option<u64>,
    held: BTreeMap<u64, Held>,
    /// The number of the next call that is inherited. They count down from the highest, which a worker that counts up
    /// does not reach.
    inherited: u64,
    /// For each command the lowest and the highest start that this worker was given.
    given: Vec<Option<(u32, u32)>>,
    /// The bindings that have a Unix socket.
    sockets: BTreeSet<u8>,
    /// Requests for a connection that are not answered yet.
    tickets: BTreeSet<u32>,
    /// It has asked how the service is, and was not answered.
    asks_facts: bool,
    tempo: Tempo,
}

impl Permit {
    /// For a worker that serves these channels and may ask for children of `commands` commands.
    #[must_use]
    pub fn new(channels: Vec<Channel>, commands: usize) -> Self {
        Self {
            state: State::Starting,
            drain: false,
            channels,
            last_call: None,
            held: BTreeMap::new(),
            inherited: u64::MAX,
            given: vec![None; commands],
            sockets: BTreeSet::new(),
            tickets: BTreeSet::new(),
            asks_facts: false,
            tempo: Tempo::default(),
        }
    }

    /// Lets the worker ask for connections to the Unix sockets of these bindings.
    #[must_use]
    pub fn with_sockets(mut self, bindings: impl IntoIterator<Item = u8>) -> Self {
        self.sockets.extend(bindings);
        self
    }

    /// The worker got the answer to a request for a connection.
    pub fn answered(&mut self, ticket: u32) {
        self.tickets.remove(&ticket);
    }

    /// The worker was told how the service is.
    pub fn told_facts(&mut self) {
        self.asks_facts = false;
    }

    /// The channel of a binding.
    #[must_use]
    pub fn channel(&self, binding: u8) -> Option<&Channel> {
        self.channels.get(usize::from(binding))
    }

    /// The worker was told to drain.
    pub fn drain(&mut self) {
        self.drain = true;
        if self.state == State::Serving {
            self.state = State::Draining;
        }
    }

    /// The worker was given a child.
    pub fn give(&mut self, index: u8, generation: u32) {
        if let Some(given) = self.given.get_mut(usize::from(index)) {
            let (first, last) = given.unwrap_or((generation, generation));
            *given = Some((first.min(generation), last.max(generation)));
        }
    }

    /// The calls in progress and those to answer for.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &Held> {
        self.held.values()
    }

    /// The calls in progress when the worker is no more.
    #[must_use]
    pub fn into_held(self) -> Vec<Held> {
        self.held.into_values().collect()
    }

    /// Makes this worker answer for a call that a dead one held, and returns it as it is to be told. It is held until the
    /// worker says that it is done, so that it is not lost should this one die as well.
    pub fn inherit(&mut self, mut ask: Ask, record: Option<String>, now: Instant) -> Ask {
        ask.call = self.inherited;
        self.inherited = self.inherited.saturating_sub(1);
        // For the record only, and recorded.
        ask.about = None;
        self.held.insert(ask.call, Held { ask: ask.clone(), since: now, record, inherited: true });
        ask
    }

    /// The decision about a held call is in the audit log under this name.
    pub fn record(&mut self, call: u64, name: String) {
        if let Some(held) = self.held.get_mut(&call) {
            held.record = Some(name);
        }
    }

    /// The worker is told not to forward a call that was permitted: it is as if it had never come.
    pub fn refuse(&mut self, call: u64, window: &mut Window) {
        if let Some(held) = self.held.remove(&call) {
            window.release(&held.ask.request_id);
        }
    }

    /// Judges one message.
    ///
    /// # Errors
    /// When it is not legal; the worker must be killed and nothing more of it be accepted.
    pub fn accept(&mut self, message: FromWorker, window: &mut Window, now: Instant) -> Result<Step, Breach> {
        match (&message, self.state) {
            (FromWorker::Ready { landlock, filters }, State::Starting) => {
                self.state = if self.drain { State::Draining } else { State::Serving };
                return Ok(Step::Ready { landlock: *landlock, filters: *filters });
            }
            (_, State::Starting | State::Gone) => return Err(Breach::OutOfState(name(&message))),
            (FromWorker::Ready { .. }, _) | (FromWorker::Drained { .. }, State::Serving) => {
                return Err(Breach::OutOfState(name(&message)));
            }
            (_, State::Serving | State::Draining) => {}
        }
        match message {
            FromWorker::Ready { .. } => Err(Breach::OutOfState("ready")),
            FromWorker::Ask(ask) => self.ask(ask, window, now),
            FromWorker::Denied(denied) => self.denied(denied),
            FromWorker::Done { call, outcome, answer } => {
                let held = self.held.remove(&call).ok_or(Breach::UnknownCall(call))?;
                if !held.inherited {
                    window.finish(&held.ask.request_id, outcome, now);
                }
                if !answer.as_ref().is_none_or(Answer::is_legal) {
                    return Err(Breach::BadAnswer);
                }
                Ok(Step::Done { held: Box::new(held), outcome, answer })
            }
            FromWorker::PollOk {} => Ok(Step::PollOk),
            FromWorker::PollFailing { reason, .. } if reason.len() > MAX_REASON => Err(Breach::LongReason),
            FromWorker::PollFailing { kind, reason } => Ok(Step::PollFailing(kind, reason)),
            FromWorker::Reach { binding, reason } => {
                self.tempo.count(now)?;
                let legal = |r: &String| r.len() <= MAX_REACH && !r.chars().any(char::is_control);
                if self.channel(binding).is_none() || !reason.as_ref().is_none_or(legal) {
                    return Err(Breach::BadReach(binding));
                }
                Ok(Step::Reach { binding, reason })
            }
            FromWorker::Facts {} => {
                self.tempo.count(now)?;
                if std::mem::replace(&mut self.asks_facts, true) {
                    return Err(Breach::OutOfState("facts"));
                }
                Ok(Step::Facts)
            }
            FromWorker::Beat { late_ms } => Ok(Step::Beat(Duration::from_millis(late_ms))),
            FromWorker::Spawn { index, era, seen } => {
                self.given.get(usize::from(index)).ok_or(Breach::UnknownCommand(index))?;
                Ok(Step::Spawn { index, era, seen })
            }
            FromWorker::ChildLost { index, generation } => {
                self.was_given(index, generation)?;
                Ok(Step::ChildLost { index, generation })
            }
            FromWorker::Returned { index, generation, era, carried } => {
                self.was_given(index, generation)?;
                if carried.retired.len() > MAX_RETIRED || carried.unread.len() > MAX_UNREAD {
                    return Err(Breach::LongCarried);
                }
                Ok(Step::Returned { index, generation, era, carried })
            }
            FromWorker::Connect { binding, .. } if !self.sockets.contains(&binding) => {
                Err(Breach::UnknownSocket(binding))
            }
            FromWorker::Connect { binding, ticket } => {
                if self.tickets.len() >= MAX_TICKETS || !self.tickets.insert(ticket) {
                    return Err(Breach::BadTicket(ticket));
                }
                Ok(Step::Connect { binding, ticket })
            }
            FromWorker::Drained { unfinished } => {
                self.state = State::Gone;
                Ok(Step::Drained { unfinished })
            }
        }
    }

    fn was_given(&self, index: u8, generation: u32) -> Result<(), Breach> {
        match self.given.get(usize::from(index)).ok_or(Breach::UnknownCommand(index))? {
            Some((first, last)) if (*first..=*last).contains(&generation) => Ok(()),
            _ => Err(Breach::UnknownChild(index, generation)),
        }
    }

    fn denied(&self, denied: Denied) -> Result<Step, Breach> {
        if denied.request_id.is_empty() || denied.request_id.len() > MAX_REQUEST_ID {
            return Err(Breach::BadAsk("request_id"));
        }
        if !denied.about.is_legal() || denied.about.rule.is_none() {
            return Err(Breach::BadAsk("about"));
        }
        if !self.channels.iter().any(|c| c.as_str() == denied.channel) {
            return Err(Breach::UnknownChannel);
        }
        Ok(Step::Denied(Box::new(denied)))
    }

    fn ask(&mut self, mut ask: Ask, window: &mut Window, now: Instant) -> Result<Step, Breach> {
        if self.last_call.is_some_and(|last| ask.call <= last) || self.held.contains_key(&ask.call) {
            return Err(Breach::CallReused(ask.call));
        }
        if ask.request_id.is_empty() || ask.request_id.len() > MAX_REQUEST_ID {
            return Err(Breach::BadAsk("request_id"));
        }
        if ask.shard_token.len() > MAX_SHARD_TOKEN {
            return Err(Breach::BadAsk("shard_token"));
        }
        if ask.rpc_id.is_some() != (ask.kind == CallKind::Request)
            || ask.rpc_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_RPC_ID)
        {
            return Err(Breach::BadAsk("rpc_id"));
        }
        if !ask.about.as_ref().is_none_or(|about| about.is_legal()) {
            return Err(Breach::BadAsk("about"));
        }
        if !self.channels.iter().any(|c| c.as_str() == ask.channel) {
            return Err(Breach::UnknownChannel);
        }
        if self.held.len() >= MAX_HELD {
            return Err(Breach::TooManyCalls);
        }
        let call = ask.call;
        self.last_call = Some(call);
        let verdict = window.judge(&ask.request_id, now);
        if verdict == Verdict::Permit {
            // What it is about is for the record alone.
            let about = ask.about.take();
            self.held.insert(call, Held { ask: ask.clone(), since: now, record: None, inherited: false });
            ask.about = about;
        }
        Ok(Step::Verdict { call, verdict, ask: Box::new(ask) })
    }
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
