//! Judging the body of a response: whether it is the answer to this request. Pure.
//!
//! What is passed on is what the server wrote, byte for byte; only an id that means the same and is spelled
//! differently gets the spelling of the request back, because the caller may compare texts.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::mcp::failure::Kind;
use crate::mcp::ids;
use crate::mcp::jsonrpc::{self, Incoming, Invalid, Response};

/// One message of a server.
pub(super) fn read(body: &Bytes) -> Result<Incoming, Kind> {
    jsonrpc::incoming(body).map_err(|invalid| match invalid {
        Invalid::NotAnObject(_) => Kind::MalformedJson,
        Invalid::Malformed { .. } | Invalid::IsResponse(_) => Kind::InvalidProtocolResponse,
    })
}

/// The body of a 2xx response to the request with the raw id `id`.
pub(super) fn of_success(body: &Bytes, id: &str) -> Result<Bytes, Kind> {
    if is_blank(body) {
        return Err(Kind::NonProtocolResponse);
    }
    match read(body)? {
        Incoming::Response(response) => own(&response, id),
        Incoming::Request(_) | Incoming::Notification(_) => Err(Kind::InvalidProtocolResponse),
    }
}

/// The response, if it is the one to the request with the raw id `id`.
pub(super) fn own(response: &Response, id: &str) -> Result<Bytes, Kind> {
    match response.id() {
        Some(written) if written == id => Ok(response.raw().clone()),
        Some(written) if ids::same_id(written, id) => Ok(response.with_id(id)),
        _ => Err(Kind::InvalidProtocolResponse),
    }
}

/// The body of a response other than 2xx, when it is the JSON-RPC error of the request with the raw id `id`.
pub(super) fn of_error(body: &Bytes, id: Option<&str>) -> Result<Bytes, Kind> {
    if is_blank(body) {
        return Err(Kind::ResponseBodyMissing);
    }
    if id.is_some_and(|id| jsonrpc::is_mcp_error(body, id)) {
        return Ok(body.clone());
    }
    let json = std::str::from_utf8(body).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    Err(if json { Kind::InvalidMcpError } else { Kind::MalformedJson })
}

fn is_blank(body: &[u8]) -> bool {
    body.trim_ascii().is_empty()
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
