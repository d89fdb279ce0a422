//! Reads what an MCP server sends. Pure.

use std::ops::Range;

use bytes::Bytes;

use super::{Envelope, Invalid, Message, members, span, splice, text};
use crate::mcp::ids::same_id;

/// A message from a server.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// The answer to a request.
    Response(Response),
    /// A request to the client: ping, sampling, elicitation, roots. Its id is never `None`.
    Request(Message),
    /// A notification.
    Notification(Message),
}

/// A response, with the raw text it came in.
#[derive(Clone)]
pub struct Response {
    raw: Bytes,
    id: Option<Range<usize>>,
    failed: bool,
}

impl std::fmt::Debug for Response {
    /// Without the payload: what is formatted may be logged.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("failed", &self.failed).field("bytes", &self.raw.len()).finish()
    }
}

impl Response {
    /// The whole response as received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// The id as raw JSON text; `None` when it is null or missing: the server could not read the request's.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        text(&self.raw, self.id.as_ref())
    }

    /// Where the id stands in [`Self::raw`].
    #[must_use]
    pub fn id_span(&self) -> Option<Range<usize>> {
        self.id.clone()
    }

    /// Whether it carries an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The response with another id, given as raw JSON text; everything else byte for byte. One copy.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Bytes {
        match &self.id {
            Some(span) => splice(&self.raw, &[(span.clone(), id)]).into(),
            None => self.raw.clone(),
        }
    }
}

/// Reads one message of a server: an SSE event, a response body or a line of a stdio server.
///
/// Members in other letter case than the known ones are unknown members here. A response needs one of result and
/// error, and one that is null beside the other is tolerated.
///
/// # Errors
/// [`Invalid::NotAnObject`] or [`Invalid::Malformed`]; the latter names the id when it could be read.
pub fn incoming(raw: &Bytes) -> Result<Incoming, Invalid> {
    let envelope = Envelope::read(raw)?;
    let [_, id, method, _, result, error] = envelope.members.values;
    if method.is_some() {
        let method = envelope.request()?;
        if id == Some("null") {
            return Err(envelope.malformed("a request with a null id"));
        }
        let message = envelope.message(raw, method)?;
        return Ok(match message.id() {
            Some(_) => Incoming::Request(message),
            None => Incoming::Notification(message),
        });
    }
    let given = |member: Option<&str>| member.is_some_and(|m| m != "null");
    let failed = match (result, error) {
        (None, None) => return Err(envelope.malformed("neither request nor response")),
        (Some(_), Some(_)) if given(result) && given(error) => {
            return Err(envelope.malformed("both result and error"));
        }
        (_, error) => given(error),
    };
    let id = envelope.id.as_ref().and(id).and_then(|id| span(raw, id));
    Ok(Incoming::Response(Response { raw: raw.clone(), id, failed }))
}

/// Whether the body of an HTTP error is the server's own JSON-RPC error for the request with `request_id` (raw JSON
/// text), so that it must be relayed byte for byte: one object, `jsonrpc` "2.0", no `method`, no `result` even if
/// null, `error` with an integer `code` and a string `message`, and the same id.
#[must_use]
pub fn is_mcp_error(raw: &Bytes, request_id: &str) -> bool {
    let Ok(envelope) = Envelope::read(raw) else { return false };
    let [_, id, method, _, result, error] = envelope.members.values;
    if method.is_some() || result.is_some() || !id.is_some_and(|id| same_id(id, request_id)) {
        return false;
    }
    let Some(error) = error.and_then(|e| members(e, ["code", "message"])) else { return false };
    let [code, message] = error.values;
    !error.duplicate
        && code.is_some_and(|c| c.parse::<i64>().is_ok())
        && message.is_some_and(|m| super::unescape(m).is_some())
}
