//! What the broker has to do about a message that is legal. Broker only; pure.

use std::time::Duration;

use super::held::Held;
use crate::ipc::msg::{Answer, Ask, Carried, Denied, Era, Outcome, Trouble, Verdict};

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
    /// The call policy refuses a command.
    Denied(Box<Denied>),
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
    PollFailing(Trouble, String),
    /// A server can be reached, or why not.
    Reach {
        /// A binding of the worker's configuration.
        binding: u8,
        /// Why not.
        reason: Option<String>,
    },
    /// It wants to know how the service is.
    Facts,
    /// The worker's loops move, the poll loop this late.
    Beat(Duration),
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
    /// A connection to a Unix socket is wanted.
    Connect {
        /// A binding that has one.
        binding: u8,
        /// Names the request.
        ticket: u32,
    },
    /// A child is given back.
    Returned {
        /// Of a configured command.
        index: u8,
        /// One that this worker was given.
        generation: u32,
        /// The era that it has taken.
        era: Option<Era>,
        /// What the next worker must know.
        carried: Carried,
    },
    /// The worker exits next.
    Drained {
        /// Calls that did not finish.
        unfinished: u32,
    },
}
