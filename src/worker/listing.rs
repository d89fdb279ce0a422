//! Looks at the definition of a tool before its first call, where only approved ones may be called. Worker only.
//!
//! A worker that has just started has seen no list, and a caller may call without ever asking for one. So the server is asked
//! right before the call, in the caller's own session. Must never pass on anything of what it says, nor let a call go that
//! names a tool it did not find.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::answers;
use super::guard::Pass;
use crate::mcp::jsonrpc::{self, Message, members};
use crate::mcp::{Answer, Call, End, Upstream};
use crate::policy;

/// Most pages that are asked for.
const MAX_PAGES: usize = 50;
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Asks for the tools of `server` until the one that is called was seen. Returns the end of the call if it may not be
/// forwarded. `request` names it among all requests.
pub async fn look(
    pass: &Pass,
    server: &Upstream,
    (called, headers): (&Message, &HeaderMap),
    request: &str,
    deadline: Option<Instant>,
) -> Option<End> {
    let mut cursor = String::new();
    for page in 0..MAX_PAGES {
        if pass.is_approved().is_some() {
            break;
        }
        let id = format!("tunnelward:{request}:{page}");
        let Some(message) = list(called, &id, &cursor) else { break };
        let call = Call { message, headers: as_list(headers), deadline };
        // Nobody wants notifications.
        let (notes, _) = mpsc::channel(1);
        let answer = match server.request(call, &notes).await {
            End::DeadlinePassed => return Some(End::DeadlinePassed),
            End::Answer(answer) => answer,
        };
        if let Some(failure) = answer.failure {
            let headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
            let (code, body) = (failure.code(), Some(failure.body(called.id())));
            return Some(End::Answer(Answer { code, headers, body, failure: Some(failure) }));
        }
        match answer.body.and_then(|body| pass.look(&body)) {
            Some(next) => cursor = next,
            None => break,
        }
    }
    if pass.is_approved() == Some(true) {
        return None;
    }
    let reply = answers::refused(called.id(), pass.refused_as_drifted());
    Some(End::Answer(Answer { code: reply.code, headers: reply.headers, body: reply.body, failure: None }))
}

/// A request for a page of tools, in the era of the call.
fn list(called: &Message, id: &str, cursor: &str) -> Option<Message> {
    let mut text = String::from(r#"{"jsonrpc":"2.0","method":"tools/list","id":"#);
    policy::string(id, &mut text);
    text.push_str(r#","params":{"#);
    if !cursor.is_empty() {
        text.push_str(r#""cursor":"#);
        policy::string(cursor, &mut text);
    }
    if called.is_self_contained() {
        let [meta] = members(called.params()?, ["_meta"])?.values;
        text.push_str(if cursor.is_empty() { r#""_meta":"# } else { r#","_meta":"# });
        text.push_str(meta?);
    }
    text.push_str("}}");
    jsonrpc::parse(&Bytes::from(text)).ok()
}

/// The headers of a call, for a list in the same session.
fn as_list(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    let of_call = |name: &&HeaderName| **name == NAME || name.as_str().starts_with("mcp-param-");
    for name in headers.keys().filter(of_call) {
        kept.remove(name);
    }
    if let Some(method) = kept.get_mut(METHOD) {
        *method = HeaderValue::from_static("tools/list");
    }
    kept
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
