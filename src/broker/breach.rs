//! What a worker is killed for saying. Broker only; pure.

use super::permit::{MAX_HELD, MAX_REASON};
use crate::ipc::msg::FromWorker;

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
    /// The binding has no Unix socket.
    UnknownSocket(u8),
    /// A request for a connection has the ticket of one that is not answered yet, or too many are not.
    BadTicket(u32),
    /// The digest of an answer is none.
    BadAnswer,
    /// The reason of a failing poll is too long.
    LongReason,
    /// The reason why a server cannot be reached is not legal, or there is no such binding.
    BadReach(u8),
    /// It asks or tells more often than anybody needs.
    TooOften,
    /// What is said of a child that is given back is longer than it may be.
    LongCarried,
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
            Self::UnknownSocket(binding) => write!(f, "binding {binding} has no Unix socket"),
            Self::BadTicket(ticket) => write!(f, "request {ticket} for a connection is one too many"),
            Self::BadAnswer => f.write_str("the digest of an answer is not legal"),
            Self::LongReason => write!(f, "the reason of a failing poll exceeds {MAX_REASON} bytes"),
            Self::BadReach(binding) => write!(f, "what is said of binding {binding} is not legal"),
            Self::TooOften => f.write_str("it says how servers are, or asks, too often"),
            Self::LongCarried => f.write_str("too much is said of a child that is given back"),
        }
    }
}

impl std::error::Error for Breach {}

/// What a message is called.
pub(super) fn name(message: &FromWorker) -> &'static str {
    match message {
        FromWorker::Ready { .. } => "ready",
        FromWorker::Ask(_) => "ask",
        FromWorker::Denied(_) => "denied",
        FromWorker::Done { .. } => "done",
        FromWorker::PollOk {} => "poll_ok",
        FromWorker::PollFailing { .. } => "poll_failing",
        FromWorker::Reach { .. } => "reach",
        FromWorker::Facts {} => "facts",
        FromWorker::Beat { .. } => "beat",
        FromWorker::Spawn { .. } => "spawn",
        FromWorker::ChildLost { .. } => "child_lost",
        FromWorker::Connect { .. } => "connect",
        FromWorker::Returned { .. } => "returned",
        FromWorker::Drained { .. } => "drained",
    }
}
