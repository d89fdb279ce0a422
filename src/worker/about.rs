//! What a call is about and what was answered, for the broker's record: identities, digests and sizes. Worker only; pure.
//!
//! Must never return anything of arguments, results or session ids but their digests.

use http::HeaderMap;

use super::call::{Forward, Reply};
use crate::ipc::digest::sha256_hex;
use crate::ipc::msg::{About, Answer, MAX_METHOD, MAX_NAME};
use crate::mcp::jsonrpc::{Message, members};

/// What a command is about; `rule` is that of the call policy which refuses it, or would.
pub fn about(forward: &Forward, rule: Option<&str>) -> About {
    match forward {
        Forward::Message { message, headers, .. } => about_parts(Some(message), headers, rule),
        Forward::Termination { headers, .. } => about_parts(None, headers, rule),
    }
}

/// The same of its parts.
pub fn about_parts(message: Option<&Message>, headers: &HeaderMap, rule: Option<&str>) -> About {
    About {
        session: headers.get("mcp-session-id").map(|id| sha256_hex(id.as_bytes())),
        trace: trace(headers),
        rule: rule.map(|rule| cut(rule, MAX_NAME)),
        ..message.map(of_message).unwrap_or_default()
    }
}

/// What was answered, and the rule of the call policy that is the reason for it.
pub fn answer(reply: &Reply, rule: Option<&str>) -> Answer {
    Answer {
        code: reply.code,
        bytes: size(reply.body.as_ref().map_or(0, bytes::Bytes::len)),
        sha256: reply.body.as_ref().map(|body| sha256_hex(body)),
        rule: rule.map(|rule| cut(rule, MAX_NAME)),
    }
}

fn of_message(message: &Message) -> About {
    let params = message.params().and_then(|params| members(params, ["name", "uri", "arguments"]));
    let [name, uri, arguments] = params.map(|found| found.values).unwrap_or_default();
    let name = name.or(uri).and_then(|raw| serde_json::from_str::<String>(raw).ok());
    About {
        method: Some(cut(message.method(), MAX_METHOD)),
        name: name.map(|name| cut(&name, MAX_NAME)),
        arguments: arguments.map(|raw| sha256_hex(raw.as_bytes())),
        argument_bytes: arguments.map(|raw| size(raw.len())),
        request_bytes: Some(size(message.raw().len())),
        ..About::default()
    }
}

/// The trace id of a `traceparent` (W3C trace context): version, trace id, parent, flags.
fn trace(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("traceparent")?.to_str().ok()?.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_string())
}

fn cut(text: &str, max: usize) -> String {
    let end = (0..=text.len().min(max)).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_string()
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "about_tests.rs"]
mod tests;
