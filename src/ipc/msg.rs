//! The closed set of messages between broker and worker, and how a frame of them looks on the socket.
//!
//! Pure: bytes in, values out. A frame is a JSON array of messages of one direction, at most [`MAX_FRAME`] bytes;
//! unknown members, unknown messages and trailing bytes are errors. The broker treats an error as a hostile worker.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

pub use super::parts::{
    About, Answer, Ask, CallKind, Carried, Denied, Era, Handshake, MAX_METHOD, MAX_NAME, MAX_REQUEST_ID,
    MAX_RETIRED, MAX_RPC_ID, MAX_SHARD_TOKEN, MAX_UNREAD, Outcome, Trouble, Verdict,
};

/// The largest frame. A SEQPACKET message of more than about 208 KiB cannot be sent at Debian's default buffer
/// size; larger things travel as sealed memfds.
pub const MAX_FRAME: usize = 64 * 1024;
/// The most messages in one frame.
pub const MAX_MESSAGES: usize = 256;
/// The longest reason why an MCP server cannot be reached.
pub const MAX_REACH: usize = 256;
/// How often a worker says that its loops move: rare enough to cost nothing, often enough that a wedged worker is
/// replaced well before a service manager loses patience.
pub const BEAT_EVERY: Duration = Duration::from_secs(5);

/// Worker to broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum FromWorker {
    /// The configuration was understood and this process is confined; once, first. No byte of the network was read
    /// or sent yet.
    Ready {
        /// The Landlock ABI whose rights are all refused but for the granted ones.
        landlock: u8,
        /// Seccomp programs in force, the broker's not counted.
        filters: u8,
    },
    /// Permission to forward.
    Ask(Ask),
    /// The call policy refuses a command; said when calls are recorded.
    Denied(Denied),
    /// The end of a call that was permitted, or handed on by `Orphan`.
    Done {
        /// Which.
        call: u64,
        /// How.
        outcome: Outcome,
        /// What was answered, when calls are recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Answer>,
    },
    /// A poll succeeded after none had, or after failures. The first one makes the service ready.
    PollOk {},
    /// Polling fails; the reason for `STATUS=`, at most 512 bytes.
    PollFailing {
        /// What it is about.
        kind: Trouble,
        /// A sentence without secrets.
        reason: String,
    },
    /// The MCP server of a binding can be reached, or not any more; said when that changes.
    Reach {
        /// The place of the binding in the configuration.
        binding: u8,
        /// Why not: a sentence of ours without control characters, at most [`MAX_REACH`] bytes.
        reason: Option<String>,
    },
    /// Somebody wants to know how the service is; not said again before it is answered.
    Facts {},
    /// The worker's loops move; from `Go` on, every [`BEAT_EVERY`].
    Beat {
        /// By how many milliseconds the poll loop is past the time at which it said that it would move.
        late_ms: u64,
    },
    /// A child for the binding is wanted; `index` counts in the configuration's command list.
    Spawn {
        /// Which command.
        index: u8,
        /// For which era (the broker keeps at most one child for each).
        era: Era,
        /// The last start of the command that the worker was given; 0 when there was none. Tells a wish from one that
        /// crossed the child on the way.
        seen: u32,
    },
    /// The worker has given up a child (its stdout ended or it broke the protocol); the broker stops it.
    ChildLost {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
    },
    /// A connection to the Unix socket of a binding is wanted.
    Connect {
        /// The place of the binding in the configuration.
        binding: u8,
        /// Names the request; not used again before it is answered.
        ticket: u32,
    },
    /// A child as it was asked for by `Return`, or at the end after `Drain`. The worker has closed its pipes.
    Returned {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
        /// The era that it has taken.
        era: Option<Era>,
        /// What is known of it.
        carried: Carried,
    },
    /// Nothing is left to do after `Drain`; the worker exits next.
    Drained {
        /// Accepted calls that did not finish by the bound.
        unfinished: u32,
    },
}

/// Broker to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum ToWorker {
    /// The configuration, in the memfd that travels with the frame; once, first, alone in its frame. A second
    /// descriptor, if there is one, is the listener of the health requests.
    Config {
        /// Length of the memfd in bytes.
        size: u64,
        /// SHA-256 of its content, lower-case hex.
        sha256: String,
        /// The client instance id: 32 lower-case hex digits, one per service process.
        instance_id: String,
    },
    /// Answer to `Ready`: the network may be used now.
    Go {
        /// No worker of this service was told so before.
        first: bool,
    },
    /// A call that a dead worker held: answer it with a failure, forward nothing, say when it is done.
    Orphan(Ask),
    /// Answer to `Ask`.
    Verdict {
        /// Which.
        call: u64,
        /// What.
        verdict: Verdict,
    },
    /// A child runs; two descriptors travel with the frame: its stdin (write end), its stdout (read end). Alone
    /// in its frame.
    Child {
        /// Which command.
        index: u8,
        /// For which era; `None` for the one started in advance, which takes the era of its first message.
        era: Option<Era>,
        /// Counts the starts of this command.
        generation: u32,
        /// What another worker knew of it, if one had it before.
        carried: Option<Carried>,
    },
    /// Another worker needs the child: finish what has been written to it, write nothing more, give it back.
    Return {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
    },
    /// It is not needed there any more; without effect when it has been given back.
    Keep {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
    },
    /// Answer to `Spawn`: another worker has the child and gives it back.
    Elsewhere {
        /// Which command.
        index: u8,
        /// Within so many milliseconds.
        within_ms: u64,
    },
    /// A child ended or could not be started.
    ChildGone {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
        /// Milliseconds until the broker would start the next one on its own.
        retry_in_ms: u64,
    },
    /// Answer to `Connect`; the connection travels with the frame. Alone in its frame.
    Connected {
        /// Which request.
        ticket: u32,
    },
    /// The other answer to `Connect`.
    ConnectFailed {
        /// Which request.
        ticket: u32,
        /// What the system said.
        errno: i32,
    },
    /// Answer to `Facts`: one object, as `broker::facts` writes it.
    Facts {
        /// It.
        facts: serde_json::Value,
    },
    /// Poll no more.
    Drain {
        /// `Some`: abort the outstanding poll after this many milliseconds. `None`: let it run its course.
        poll_grace_ms: Option<u64>,
        /// Milliseconds until what is unfinished is answered with a failure.
        deadline_ms: u64,
    },
}

/// Why a frame was refused.
#[derive(Debug)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    TooLong(usize),
    /// More than [`MAX_MESSAGES`], or none.
    Count(usize),
    /// Not the JSON this direction speaks.
    Malformed(serde_json::Error),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong(n) => write!(f, "frame of {n} bytes exceeds {MAX_FRAME}"),
            Self::Count(n) => write!(f, "frame of {n} messages; 1 to {MAX_MESSAGES} are legal"),
            Self::Malformed(e) => write!(f, "frame is malformed: {e}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Renders messages as one frame.
///
/// # Errors
/// When there are none or too many, or the frame would be too long.
pub fn encode<M: Serialize>(messages: &[M]) -> Result<Vec<u8>, FrameError> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(FrameError::Count(messages.len()));
    }
    let frame = serde_json::to_vec(messages).map_err(FrameError::Malformed)?;
    if frame.len() > MAX_FRAME { Err(FrameError::TooLong(frame.len())) } else { Ok(frame) }
}

/// Reads one frame.
///
/// # Errors
/// When it is too long, empty of messages, or not exactly what [`encode`] writes.
pub fn decode<'a, M: Deserialize<'a>>(frame: &'a [u8]) -> Result<Vec<M>, FrameError> {
    if frame.len() > MAX_FRAME {
        return Err(FrameError::TooLong(frame.len()));
    }
    // Once for the whole frame, and not for each text in it.
    let text = std::str::from_utf8(frame).map_err(|e| FrameError::Malformed(serde_json::Error::custom(e)))?;
    let messages: Vec<M> = serde_json::from_str(text).map_err(FrameError::Malformed)?;
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        return Err(FrameError::Count(messages.len()));
    }
    Ok(messages)
}
