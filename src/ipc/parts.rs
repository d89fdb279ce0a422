//! What messages between broker and worker are made of: calls, verdicts, what is known of a child. Pure.

use serde::{Deserialize, Serialize};

/// The longest `request_id` the broker remembers; longer ones are answered as malformed by the worker.
pub const MAX_REQUEST_ID: usize = 512;
/// The longest `shard_token`.
pub const MAX_SHARD_TOKEN: usize = 4096;
/// The longest JSON-RPC id, as raw JSON text.
pub const MAX_RPC_ID: usize = 1024;

/// The most numbers of abandoned requests that are known of a stdio child.
pub const MAX_RETIRED: usize = 1024;
/// The most bytes of an unfinished line that are handed on with a child. With [`MAX_RETIRED`] numbers they fit into a
/// frame, however they are spelled.
pub const MAX_UNREAD: usize = 8 * 1024;
/// The longest name of a method that is told for the record; longer ones are cut.
pub const MAX_METHOD: usize = 128;
/// The longest name of a tool, prompt or resource, likewise.
pub const MAX_NAME: usize = 256;

/// The MCP era that a stdio child serves (a child serves one only).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Era {
    /// 2025-11-25 and earlier: `initialize`, sessions.
    Session,
    /// 2026-07-28: stateless, `server/discover`.
    Stateless,
}

/// How far the handshake with a stdio child of the session era has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// No `initialize` has succeeded.
    #[default]
    Fresh,
    /// It has, and `notifications/initialized` is outstanding.
    Answered,
    /// Done.
    Ready,
}

/// What a worker knows of a stdio child that it gives back, for the one that has it next. Nothing is in progress then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// The number of the last request.
    pub last: u64,
    /// Numbers of requests that may still be answered although nobody waits; at most [`MAX_RETIRED`].
    pub retired: Vec<u64>,
    /// The handshake.
    pub handshake: Handshake,
    /// What was read of a line that is not complete; at most [`MAX_UNREAD`] bytes.
    pub unread: Vec<u8>,
}

/// What a command is, as far as the broker needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A JSON-RPC request; it must be answered.
    Request,
    /// A JSON-RPC notification; it is acknowledged.
    Notification,
    /// `session_termination`.
    Termination,
}

/// A command that the worker wants to forward. Everything in it is what is needed to answer for it should the
/// worker die.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The worker's own number for the command, never used twice by one worker.
    pub call: u64,
    /// Of the command.
    pub request_id: String,
    /// Of the command.
    pub shard_token: String,
    /// The canonical channel.
    pub channel: String,
    /// What it is.
    pub kind: CallKind,
    /// The JSON-RPC id as raw JSON text; `None` for anything but a request.
    pub rpc_id: Option<String>,
    /// Milliseconds until the response deadline; `None` when the command has none.
    pub ttl_ms: Option<u64>,
    /// What it is about, when calls are recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Box<About>>,
}

/// What a command is about: identities, digests and sizes, no contents. For the record only; nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The JSON-RPC method, at most [`MAX_METHOD`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The tool, prompt or resource, at most [`MAX_NAME`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SHA-256 of the session id, as hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The trace id of `traceparent`: 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// SHA-256 of the arguments as they came, as hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Their length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argument_bytes: Option<u64>,
    /// The length of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// The rule of the call policy that refuses the call, or would if the policy did more than monitor; at most
    /// [`MAX_NAME`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// Whether a text, if there is one, is so many hex digits.
fn is_hex(text: Option<&String>, len: usize) -> bool {
    text.is_none_or(|t| t.len() == len && t.bytes().all(|b| b.is_ascii_hexdigit()))
}

impl About {
    /// Whether nothing in it is longer than it may be, and the digests are digests.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        let short = |text: &Option<String>, max: usize| text.as_ref().is_none_or(|t| t.len() <= max);
        short(&self.rule, MAX_NAME)
            && short(&self.method, MAX_METHOD)
            && short(&self.name, MAX_NAME)
            && is_hex(self.session.as_ref(), 64)
            && is_hex(self.arguments.as_ref(), 64)
            && is_hex(self.trace.as_ref(), 32)
    }
}

/// A command that the call policy refuses: it is answered by the worker and goes nowhere. For the record only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denied {
    /// The control plane's id, at most [`MAX_REQUEST_ID`] bytes.
    pub request_id: String,
    /// The channel.
    pub channel: String,
    /// What it is.
    pub kind: CallKind,
    /// What it is about; names the rule.
    pub about: Box<About>,
}

/// What was answered, for the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The code of the answer.
    pub code: u16,
    /// The length of its body.
    pub bytes: u64,
    /// SHA-256 of its body, as hex digits, when it has one.
    pub sha256: Option<String>,
    /// The rule of the call policy that put an error in the place of the server's answer; at most [`MAX_NAME`] bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Answer {
    /// Whether the digest is one, and the rule is not longer than it may be.
    #[must_use]
    pub fn is_legal(&self) -> bool {
        is_hex(self.sha256.as_ref(), 64) && self.rule.as_ref().is_none_or(|rule| rule.len() <= MAX_NAME)
    }
}

/// The broker's answer to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Forward it, once.
    Permit,
    /// Seen before, and a living worker is at it or has finished it: drop this delivery.
    Duplicate,
    /// Seen before, and the worker that held it died: it may have been forwarded. Answer with a failure.
    InDoubt,
    /// It cannot be recorded, so it must not be forwarded. Answer with a failure.
    Refused,
}

/// What a failing poll is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// There was no answer.
    Network,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// The peer is not the control plane that the operator pinned.
    Pin,
    /// No TLS connection.
    Tls,
    /// The proxy does not lead there.
    Proxy,
    /// Any other answer that is of no use.
    Answer,
}

/// How a permitted call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A terminal answer was delivered.
    Answered,
    /// The deadline passed; nothing was posted, as the protocol wants.
    Expired,
    /// The answer could not be delivered.
    Undelivered,
}
