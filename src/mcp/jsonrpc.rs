//! Reads the envelope of a JSON-RPC message without touching its bytes. Pure; worker only.
//!
//! One object is one message. What a server gets is the text that the control plane sent: ids and params never
//! pass through a number type, members that nobody knows stay where they are. What two readers could understand
//! differently is refused instead: a member given twice, a known member in other letter case, a batch.
//!
//! Must never allocate in proportion to the nesting of a message, nor recurse into it.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::ipc::msg::{Era, MAX_RPC_ID};

mod incoming;
mod members;
mod write;

pub use incoming::{Incoming, Response, incoming, is_mcp_error};
pub use members::{Members, members};
pub use write::{error_body, one_line, result_body, splice};

/// The deepest nesting of arrays and objects, the message itself included. A reader that recurses must be able to
/// follow.
pub const MAX_DEPTH: usize = 128;
/// The first MCP revision whose requests carry everything the server needs to know.
const FIRST_STATELESS: &str = "2026-07-28";
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A request or notification, with the raw text it came in.
#[derive(Clone)]
pub struct Message {
    raw: Bytes,
    method: String,
    id: Option<Range<usize>>,
    params: Option<Range<usize>>,
    token: Option<Range<usize>>,
    self_contained: bool,
}

impl std::fmt::Debug for Message {
    /// Without the payload: what is formatted may be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("method", &self.method).field("bytes", &self.raw.len()).finish()
    }
}

impl Message {
    /// The whole message as received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The method, unescaped, never empty. Chosen by the peer: not for a metric's label.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The id as raw JSON text, at most [`MAX_RPC_ID`] bytes; `None` makes it a notification.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        text(&self.raw, self.id.as_ref())
    }

    /// Where the id stands in [`Self::raw`].
    #[must_use]
    pub fn id_span(&self) -> Option<Range<usize>> {
        self.id.clone()
    }

    /// The params as raw JSON text.
    #[must_use]
    pub fn params(&self) -> Option<&str> {
        text(&self.raw, self.params.as_ref())
    }

    /// `params._meta.progressToken` as raw JSON text.
    #[must_use]
    pub fn progress_token(&self) -> Option<&str> {
        text(&self.raw, self.token.as_ref())
    }

    /// Where the progress token stands in [`Self::raw`].
    #[must_use]
    pub fn progress_token_span(&self) -> Option<Range<usize>> {
        self.token.clone()
    }

    /// Whether the request carries protocol version (2026-07-28 or later) and client capabilities itself, so that
    /// it needs no session.
    #[must_use]
    pub fn is_self_contained(&self) -> bool {
        self.self_contained
    }

    /// The era of the server that can answer it. `server/discover` exists in the stateless one only.
    #[must_use]
    pub fn era(&self) -> Era {
        if self.self_contained || self.method == "server/discover" { Era::Stateless } else { Era::Session }
    }
}

/// Why a text is not a message that can be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not JSON, not UTF-8, or no object (a batch is an array).
    NotAnObject(&'static str),
    /// An object, but not a JSON-RPC 2.0 request or notification.
    Malformed {
        /// The raw id, when it could be read and may be echoed.
        id: Option<String>,
        /// What is wrong, for a person.
        why: &'static str,
    },
    /// A response, with its raw id when that could be read.
    IsResponse(Option<String>),
}

impl Invalid {
    /// The raw id to answer with; `None` when there was none that could be read.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::NotAnObject(_) => None,
            Self::Malformed { id, .. } | Self::IsResponse(id) => id.as_deref(),
        }
    }

    /// The JSON-RPC error code: -32700 for what is no object, else -32600.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::NotAnObject(_) => -32700,
            Self::Malformed { .. } | Self::IsResponse(_) => -32600,
        }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnObject(why) => write!(f, "Parse error: {why}"),
            Self::Malformed { why, .. } => write!(f, "Invalid Request: {why}"),
            Self::IsResponse(_) => f.write_str("Invalid Request: a response cannot be forwarded"),
        }
    }
}

impl std::error::Error for Invalid {}

/// Reads what a command carries.
///
/// An id of `null` is none, and is taken out of the message: a server would answer it. Params of any type pass.
///
/// # Errors
/// [`Invalid`], which knows what to answer.
pub fn parse(raw: &Bytes) -> Result<Message, Invalid> {
    let envelope = Envelope::read(raw)?;
    if envelope.members.misspelt {
        return Err(envelope.malformed("a member is named like a known one but for letter case"));
    }
    let [_, id, method, params, result, error] = envelope.members.values;
    if method.is_none() && (result.is_some() || error.is_some()) {
        return Err(Invalid::IsResponse(envelope.id));
    }
    let method = envelope.request()?;
    if id == Some("null") {
        return parse(&without_id(method, params));
    }
    envelope.message(raw, method)
}

/// The notification that a message with a null id is meant to be. Unknown members are lost.
fn without_id(method: String, params: Option<&str>) -> Bytes {
    let method = serde_json::Value::String(method);
    Bytes::from(match params {
        Some(params) => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{params}}}"),
        None => format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}}}"),
    })
}

/// The known members of one object, before it is known what they make.
struct Envelope<'a> {
    /// jsonrpc, id, method, params, result, error.
    members: Members<'a, 6>,
    /// The id, when it is a legal one and not null.
    id: Option<String>,
}

impl<'a> Envelope<'a> {
    fn read(raw: &'a Bytes) -> Result<Self, Invalid> {
        let text = std::str::from_utf8(raw).map_err(|_| Invalid::NotAnObject("not UTF-8"))?;
        match text.trim_ascii_start().bytes().next() {
            Some(b'{') => {}
            Some(b'[') => return Err(Invalid::NotAnObject("a batch is not accepted")),
            _ => return Err(Invalid::NotAnObject("not a JSON object")),
        }
        let members = members(text, ["jsonrpc", "id", "method", "params", "result", "error"])
            .ok_or(Invalid::NotAnObject("not JSON"))?;
        let [version, id, ..] = members.values;
        let legal = id.filter(|id| *id != "null" && id.len() <= MAX_RPC_ID && is_id(id));
        let envelope = Self { members, id: legal.map(str::to_owned) };
        if members::deeper_than(text, MAX_DEPTH) {
            return Err(envelope.malformed("nested too deeply"));
        }
        if envelope.members.duplicate {
            // Which of the two ids is meant cannot be known.
            return Err(Invalid::Malformed { id: None, why: "a member is given twice" });
        }
        if version.and_then(unescape).as_deref() != Some("2.0") {
            return Err(envelope.malformed("jsonrpc is not \"2.0\""));
        }
        if id.is_some_and(|id| id != "null") && envelope.id.is_none() {
            return Err(envelope.malformed("id is not a string or number of legal length"));
        }
        Ok(envelope)
    }

    fn malformed(&self, why: &'static str) -> Invalid {
        Invalid::Malformed { id: self.id.clone(), why }
    }

    /// The method of a request or notification.
    fn request(&self) -> Result<String, Invalid> {
        let [_, _, method, _, result, error] = self.members.values;
        let method = method.ok_or_else(|| self.malformed("method is missing"))?;
        let method = unescape(method).ok_or_else(|| self.malformed("method is not a string"))?;
        if method.is_empty() {
            return Err(self.malformed("method is empty"));
        }
        if result.is_some() || error.is_some() {
            return Err(self.malformed("both a request and a response"));
        }
        Ok(method.into_owned())
    }

    /// The request or notification, with what `params._meta` says.
    fn message(&self, raw: &Bytes, method: String) -> Result<Message, Invalid> {
        let [_, id, _, params, ..] = self.members.values;
        let mut message = Message {
            raw: raw.clone(),
            method,
            id: self.id.as_ref().and(id).and_then(|id| span(raw, id)),
            params: params.and_then(|params| span(raw, params)),
            token: None,
            self_contained: false,
        };
        let Some(params) = params.and_then(|p| members(p, ["_meta"])) else { return Ok(message) };
        let [meta] = params.values;
        let meta = meta.and_then(|m| members(m, ["progressToken", PROTOCOL_VERSION, CLIENT_CAPABILITIES]));
        if params.duplicate || meta.as_ref().is_some_and(|m| m.duplicate) {
            return Err(self.malformed("a member of _meta is given twice"));
        }
        if let Some([token, version, capabilities]) = meta.map(|m| m.values) {
            message.token = token.filter(|t| is_id(t)).and_then(|token| span(raw, token));
            message.self_contained = version.and_then(unescape).is_some_and(|v| is_stateless(&v))
                && capabilities.is_some_and(|c| c.starts_with('{'));
        }
        Ok(message)
    }
}

/// Whether `version` is a date from the first stateless revision on.
fn is_stateless(version: &str) -> bool {
    let shape = |(n, b): (usize, u8)| if matches!(n, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
    version.len() == FIRST_STATELESS.len()
        && version.bytes().enumerate().all(shape)
        && version >= FIRST_STATELESS
}

/// Whether a raw JSON value is a string that can be unescaped, or a number.
fn is_id(raw: &str) -> bool {
    match raw.bytes().next() {
        Some(b'"') => unescape(raw).is_some(),
        Some(b) => b == b'-' || b.is_ascii_digit(),
        None => false,
    }
}

/// The text of a raw JSON string; `None` for anything else, lone surrogates included.
#[must_use]
pub fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    match raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
    }
}

/// Where `part`, a slice of `whole`, stands in it; `None` when it is no slice of it.
#[must_use]
pub fn span(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

/// The text at `span`.
fn text<'a>(raw: &'a Bytes, span: Option<&Range<usize>>) -> Option<&'a str> {
    raw.get(span?.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

#[cfg(test)]
mod tests;
