//! Writes JSON-RPC messages, and changes single values in those of others. Pure.

use std::fmt::Write as _;
use std::ops::Range;

use bytes::Bytes;

/// A JSON-RPC error response. `id` and `data` are raw JSON text; an `id` of `None` leaves the member out, so pass
/// `Some("null")` where the protocol wants null.
#[must_use]
pub fn error_body(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Bytes {
    let mut body = String::with_capacity(96 + message.len() + data.map_or(0, str::len));
    body.push_str("{\"jsonrpc\":\"2.0\"");
    if let Some(id) = id {
        let _ = write!(body, ",\"id\":{id}");
    }
    let _ = write!(body, ",\"error\":{{\"code\":{code},\"message\":{}", serde_json::Value::from(message));
    if let Some(data) = data {
        let _ = write!(body, ",\"data\":{data}");
    }
    body.push_str("}}");
    body.into()
}

/// A JSON-RPC result response. `id` and `result` are raw JSON text.
#[must_use]
pub fn result_body(id: &str, result: &str) -> Bytes {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}").into()
}

/// Copies `raw` with the given spans replaced. Spans must be in bounds, ordered and apart; one that is not is
/// ignored.
#[must_use]
pub fn splice(raw: &[u8], edits: &[(Range<usize>, &str)]) -> Vec<u8> {
    let grown: usize = edits.iter().map(|(_, text)| text.len()).sum();
    // One more for the line feed that a stdio server wants.
    let mut copy = Vec::with_capacity(raw.len() + grown + 1);
    let mut from = 0;
    for (span, text) in edits {
        if let Some(kept) = raw.get(from..span.start).filter(|_| (span.start..=raw.len()).contains(&span.end))
        {
            copy.extend_from_slice(kept);
            copy.extend_from_slice(text.as_bytes());
            from = span.end;
        }
    }
    copy.extend_from_slice(raw.get(from..).unwrap_or_default());
    copy
}

/// Makes one line of a JSON text by turning line breaks into spaces: valid JSON has them between values only.
pub fn one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
