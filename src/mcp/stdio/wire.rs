//! Translates between the ids of callers and the numbers that a child sees. Pure.
//!
//! Everything that names a request is translated, not only the id: a progress token, the request that a
//! cancellation names, and the subscription of a `subscriptions/listen`. A name that is passed on unchanged would
//! name the request of somebody else.

use bytes::Bytes;

use super::table::{Entry, Table};
use crate::mcp::ids;
use crate::mcp::jsonrpc::{self, Message, members, span, splice};

const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// The line that brings a request to the child under `number`.
pub(super) fn request(message: &Message, number: u64) -> Vec<u8> {
    let number = number.to_string();
    let mut edits: Vec<_> =
        [message.id_span(), message.progress_token_span()].into_iter().flatten().collect();
    if edits.first().map(|span| span.start) > edits.last().map(|span| span.start) {
        edits.reverse();
    }
    let edits: Vec<_> = edits.into_iter().map(|span| (span, number.as_str())).collect();
    line(splice(message.raw(), &edits))
}

/// The line for a message that names no request.
pub(super) fn plain(message: &[u8]) -> Vec<u8> {
    line(splice(message, &[]))
}

/// The line for a `notifications/cancelled`; `None` when it does not name exactly one request in flight, for then
/// it might cancel another caller's.
pub(super) fn cancelled(message: &Message, table: &Table) -> Option<Vec<u8>> {
    let [id] = members(message.params()?, ["requestId"]).filter(|m| !m.duplicate)?.values;
    let number = table.only(id?)?.to_string();
    let span = span(message.raw(), id?)?;
    Some(line(splice(message.raw(), &[(span, &number)])))
}

fn line(mut json: Vec<u8>) -> Vec<u8> {
    jsonrpc::one_line(&mut json);
    json.push(b'\n');
    json
}

/// Whom a notification of the child belongs to, and what that caller is to read.
///
/// Progress goes to the request with its token, the messages of a subscription to its `subscriptions/listen`. What
/// names no request goes to the only one in flight; that a list has changed, which is news for everyone, to the
/// oldest. All else is dropped: it could only be guessed. A cancellation is dropped too, since it names a request
/// of the server's.
pub(super) fn addressee<'t>(note: &Message, table: &'t Table) -> Option<(&'t Entry, Bytes)> {
    let raw = note.raw();
    let translated = |part: &str, name: &str| Some(Bytes::from(splice(raw, &[(span(raw, part)?, name)])));
    let params = note.params().and_then(|p| members(p, ["progressToken", "_meta"]));
    let [token, meta] = params.map(|p| p.values).unwrap_or_default();
    if note.method() == "notifications/progress" {
        let entry = table.get(ids::whole(token?)?)?;
        return Some((entry, translated(token?, entry.token.as_deref()?)?));
    }
    if let Some([Some(subscription)]) = meta.and_then(|m| members(m, [SUBSCRIPTION_ID])).map(|m| m.values) {
        let entry = table.get(ids::whole(subscription)?)?;
        return Some((entry, translated(subscription, &entry.id)?));
    }
    if note.method() == "notifications/cancelled" {
        return None;
    }
    let entry = table.listener(note.method().ends_with("/list_changed"))?;
    Some((entry, raw.clone()))
}

/// The number in a response that was too long to be held, from its two ends. Found where the common SDKs write it:
/// after `jsonrpc`, or last, or last but for `jsonrpc`. Each place can only be the outermost object's.
pub(super) fn number_in_long_line(head: &[u8], tail: &[u8]) -> Option<u64> {
    let head = String::from_utf8_lossy(head);
    let tail = String::from_utf8_lossy(tail);
    number_at_start(&head).or_else(|| number_at_end(&tail))
}

fn number_at_start(head: &str) -> Option<u64> {
    fn after<'a>(text: &'a str, tokens: &[&str]) -> Option<&'a str> {
        tokens.iter().try_fold(text, |text, token| text.trim_ascii_start().strip_prefix(token))
    }
    let rest = after(head, &["{"])?;
    let rest = after(rest, &["\"jsonrpc\"", ":", "\"2.0\"", ","]).unwrap_or(rest);
    let rest = after(rest, &["\"id\"", ":"])?;
    let (number, _) = rest.split_once(',')?;
    number.trim_ascii().parse().ok()
}

fn number_at_end(tail: &str) -> Option<u64> {
    fn before<'a>(text: &'a str, tokens: &[&str]) -> Option<&'a str> {
        tokens.iter().try_fold(text, |text, token| text.trim_ascii_end().strip_suffix(token))
    }
    let rest = before(tail, &["}"])?;
    let rest = before(rest, &["\"2.0\"", ":", "\"jsonrpc\"", ","]).unwrap_or(rest).trim_ascii_end();
    let (name, number) = rest.rsplit_once(':')?;
    // A comma before the name keeps out a name that only ends like it.
    before(name, &["\"id\"", ","])?;
    number.trim_ascii().parse().ok()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
