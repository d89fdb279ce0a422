//! Judging the body of a response: whether it is the answer to this request. Pure.
//!
//! What is passed on is what the server wrote, byte for byte; only an id that means the same and is spelled
//! differently gets the spelling of the request back, because the caller compares texts.

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::mcp::failure::Kind;
use crate::mcp::ids;
use crate::mcp::jsonrpc::{self, Incoming, Invalid};

/// One message of a server.
pub(super) fn read(body: &Bytes) -> Result<Incoming, Kind> {
    jsonrpc::incoming(body).map_err(|invalid| match invalid {
        Invalid::NotAnObject => Kind::MalformedJson,
        _ => Kind::InvalidProtocolResponse,
    })
}

/// The response to the request with the raw id `id`, in the body of a 2xx response or in an event.
pub(super) fn of_success(body: &Bytes, id: &str) -> Result<Bytes, Kind> {
    if is_blank(body) {
        return Err(Kind::NonProtocolResponse);
    }
    let Incoming::Response { id: range } = read(body)? else { return Err(Kind::InvalidProtocolResponse) };
    let written = body.get(range.clone()).and_then(|raw| std::str::from_utf8(raw).ok()).unwrap_or_default();
    if written == id {
        return Ok(body.clone());
    }
    if !ids::same_id(written, id) {
        return Err(Kind::InvalidProtocolResponse);
    }
    let mut restored = BytesMut::with_capacity(body.len() + id.len());
    restored.extend_from_slice(body.get(..range.start).unwrap_or_default());
    restored.extend_from_slice(id.as_bytes());
    restored.extend_from_slice(body.get(range.end..).unwrap_or_default());
    Ok(restored.freeze())
}

/// The members of an error response that decide whether it is one; others are allowed.
#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    jsonrpc: Text<'a>,
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(default, deserialize_with = "seen")]
    method: bool,
    #[serde(default, deserialize_with = "seen")]
    result: bool,
    #[serde(borrow)]
    error: &'a RawValue,
}

#[derive(Deserialize)]
struct ErrorMember<'a> {
    #[serde(rename = "code")]
    _code: i64,
    #[serde(borrow, rename = "message")]
    _message: Text<'a>,
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

/// True for a member that is there, `null` included.
fn seen<'de, D: serde::Deserializer<'de>>(member: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(member).map(|_| true)
}

/// The body of a response other than 2xx, when it is the JSON-RPC error of the request with the raw id `id`.
pub(super) fn of_error(body: &Bytes, id: Option<&str>) -> Result<Bytes, Kind> {
    if is_blank(body) {
        return Err(Kind::ResponseBodyMissing);
    }
    let text = std::str::from_utf8(body).map_err(|_| Kind::MalformedJson)?;
    serde_json::from_str::<&RawValue>(text).map_err(|_| Kind::MalformedJson)?;
    let envelope: ErrorBody<'_> = object(text)?;
    object::<ErrorMember<'_>>(envelope.error.get())?;
    let own = id.is_some_and(|id| ids::same_id(envelope.id.get(), id));
    if envelope.jsonrpc.0 == "2.0" && !envelope.method && !envelope.result && own {
        return Ok(body.clone());
    }
    Err(Kind::InvalidMcpError)
}

/// Reads an object with the members of `T`. The check is needed because a reader of named members also takes an
/// array of them in order.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Kind> {
    if !text.trim_start().starts_with('{') {
        return Err(Kind::InvalidMcpError);
    }
    serde_json::from_str(text).map_err(|_| Kind::InvalidMcpError)
}

fn is_blank(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
