//! What a worker may say when, and whether a command may be forwarded. Pure; the time is given.
//!
//! One [`Permit`] stands for one worker process. The worker parses what the network sends, so it may be anybody:
//! the first message that is not legal here is a [`Breach`], and the broker kills the worker for it.

use std::collections::BTreeMap;
use std::time::Instant;

pub use super::held::Held;
use super::window::Window;
use crate::config::types::Channel;
use crate::ipc::msg::{
    Answer, Ask, CallKind, Era, FromWorker, MAX_REQUEST_ID, MAX_RPC_ID, MAX_SHARD_TOKEN, Outcome, Verdict,
};

/// Most permitted calls that have not ended.
pub const MAX_HELD: usize = 12_000;
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

/// A legal message, and what the broker has to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Nothing,
    /// The worker is confined and may serve.
    Ready {
        /// The Landlock ABI it says is enforced.
        landlock: u8,
        /// The seccomp programs it says are in force.
        filters: u8,
    },
    /// Tell the worker.
    Verdict {
        /// Which call.
        call: u64,
        /// What was decided; a permitted call is held now.
        verdict: Verdict,
        /// About what.
        ask: Box<Ask>,
    },
    /// A call that was held has ended.
    Done {
        /// The call.
        held: Box<Held>,
        /// How.
        outcome: Outcome,
        /// What was answered.
        answer: Option<Answer>,
    },
    /// Polling works.
    PollOk,
    /// Polling fails.
    PollFailing(String),
    /// A child is wanted.
    Spawn {
        /// Of a configured command.
        index: u8,
        /// For this era.
        era: Era,
        /// The last start that the worker knew of.
        seen: u32,
    },
    /// A child is given up.
    ChildLost {
        /// Of a configured command.
        index: u8,
        /// One that this worker was given (it may have ended since).
        generation: u32,
    },
    /// The worker exits next.
    Drained {
        /// Calls that did not finish.
        unfinished: u32,
    },
}

/// Why a worker is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The message is not legal at this point of the worker's life.
    OutOfState(&'static str),
    /// A call number is not greater than the ones before, or is taken.
    CallReused(u64),
    /// A part of a call is longer than it may be, or missing, or there where it may not be.
    BadAsk(&'static str),
    /// The channel is not configured.
    UnknownChannel,
    /// Too many calls at a time.
    TooManyCalls,
    /// The call was not permitted, or has ended before.
    UnknownCall(u64),
    /// There is no such command.
    UnknownCommand(u8),
    /// The worker was never given this child.
    UnknownChild(u8, u32),
    /// The digest of an answer is none.
    BadAnswer,
    /// The reason of a failing poll is too long.
    LongReason,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfState(what) => write!(f, "{what} is not legal in this state"),
            Self::CallReused(call) => write!(f, "call number {call} does not increase"),
            Self::BadAsk(what) => write!(f, "{what} of a call is not legal"),
            Self::UnknownChannel => f.write_str("the channel of a call is not configured"),
            Self::TooManyCalls => write!(f, "more than {MAX_HELD} calls at a time"),
            Self::UnknownCall(call) => write!(f, "call {call} is not in progress"),
            Self::UnknownCommand(index) => write!(f, "there is no command {index}"),
            Self::UnknownChild(index, generation) => write!(f, "command {index} has no child {generation}"),
            Self::BadAnswer => f.write_str("the digest of an answer is not legal"),
            Self::LongReason => write!(f, "the reason of a failing poll exceeds {MAX_REASON} bytes"),
        }
    }
}

impl std::error::Error for Breach {}

/// The permit table of one worker.
#[derive(Debug)]
pub struct Permit {
    state: State,
    drain: bool,
    channels: Vec<Channel>,
    last_call: Option<u64>,
    held: BTreeMap<u64, Held>,
    /// For each command the first and last start that this worker was given.
    given: Vec<Option<(u32, u32)>>,
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
            given: vec![None; commands],
        }
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
            let first = given.map_or(generation, |(first, _)| first);
            *given = Some((first, generation));
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
    /// worker says that it is done, so that it is not lost should this one die as well. To be called before the worker
    /// says anything. Numbers count down from the highest, which a worker that counts up does not reach.
    pub fn inherit(&mut self, mut ask: Ask, record: Option<String>, now: Instant) -> Ask {
        let lowest = self.held.keys().next().copied();
        ask.call = lowest.map_or(u64::MAX, |lowest| lowest.saturating_sub(1));
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
            FromWorker::PollFailing { reason } if reason.len() > MAX_REASON => Err(Breach::LongReason),
            FromWorker::PollFailing { reason } => Ok(Step::PollFailing(reason)),
            FromWorker::Spawn { index, era, seen } => {
                self.given.get(usize::from(index)).ok_or(Breach::UnknownCommand(index))?;
                Ok(Step::Spawn { index, era, seen })
            }
            FromWorker::ChildLost { index, generation } => {
                let given = self.given.get(usize::from(index)).ok_or(Breach::UnknownCommand(index))?;
                match given {
                    Some((first, last)) if (*first..=*last).contains(&generation) => {
                        Ok(Step::ChildLost { index, generation })
                    }
                    _ => Err(Breach::UnknownChild(index, generation)),
                }
            }
            FromWorker::Drained { unfinished } => {
                self.state = State::Gone;
                Ok(Step::Drained { unfinished })
            }
        }
    }

    fn ask(&mut self, ask: Ask, window: &mut Window, now: Instant) -> Result<Step, Breach> {
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
            self.held.insert(call, Held { ask: ask.clone(), since: now, record: None, inherited: false });
        }
        Ok(Step::Verdict { call, verdict, ask: Box::new(ask) })
    }
}

fn name(message: &FromWorker) -> &'static str {
    match message {
        FromWorker::Ready { .. } => "ready",
        FromWorker::Ask(_) => "ask",
        FromWorker::Done { .. } => "done",
        FromWorker::PollOk {} => "poll_ok",
        FromWorker::PollFailing { .. } => "poll_failing",
        FromWorker::Spawn { .. } => "spawn",
        FromWorker::ChildLost { .. } => "child_lost",
        FromWorker::Drained { .. } => "drained",
    }
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
