//! One element of `commands` becomes a command, a malformed command, or nothing that can be answered. Pure.
//!
//! Every rule of the envelope is here; what the payload says is for others.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use super::fields::{self, Fields, Member};
use super::headers::{self, Pairs};
use super::scan::Element;
use super::{Command, Item, Kind, Malformed, timeout};
use crate::config::types::Channel;
use crate::control::body::RespType;
use crate::ipc::msg::{MAX_REQUEST_ID, MAX_SHARD_TOKEN};
use crate::log::epoch_ms;

/// A body up to this size may be kept alive by any part of it.
const SHARED_BODY: usize = 64 * 1024;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;

/// Reads one element.
pub(super) fn parse(body: &Bytes, element: &Element) -> Item {
    let bytes = body.get(element.range.clone()).unwrap_or_default();
    let mut fields = Fields::default();
    let syntax = fields.read(bytes);
    Reader(fields).interpret(body, bytes.len(), syntax, element.deep)
}

/// Why a command is malformed.
struct Fault(i32, &'static str);

/// Gives the members their meaning.
struct Reader<'a>(Fields<'a>);

impl Reader<'_> {
    fn interpret(&self, body: &Bytes, len: usize, syntax: bool, deep: bool) -> Item {
        let (request_id, shard_token) = match (self.request_id(), self.shard_token()) {
            (Ok(request_id), Ok(shard_token)) => (request_id, shard_token),
            (Err(why), _) | (_, Err(why)) => {
                return Item::Dropped(if syntax { why } else { "element is not a JSON object" });
            }
        };
        let channel = self.channel();
        let timeout = self.timeout();
        let name = |channel: &Option<Channel>| channel.as_ref().map_or("main", Channel::as_str).to_owned();
        let known =
            if syntax { self.fault(deep) } else { Err(Fault(PARSE_ERROR, "command is not valid JSON")) };
        match known.and_then(|()| self.kind_and_headers(body)) {
            Ok((kind, headers)) => {
                let size = len.saturating_mul(if body.len() > SHARED_BODY { 2 } else { 1 });
                Item::Command(Command {
                    request_id,
                    shard_token,
                    channel: name(&channel),
                    kind,
                    headers,
                    timeout,
                    created_ms: self.created_ms(),
                    size,
                })
            }
            Err(Fault(code, message)) => Item::Malformed(Malformed {
                request_id,
                shard_token,
                channel: name(&channel),
                resp_type: self.resp_type(),
                rpc_id: self.0.given(Member::Jsonrpc).and_then(fields::rpc_id),
                code,
                message,
                timeout,
            }),
        }
    }

    fn request_id(&self) -> Result<String, &'static str> {
        if self.0.is_twice(Member::RequestId) {
            return Err("request_id occurs twice");
        }
        let text = self.0.given(Member::RequestId).ok_or("request_id is missing")?;
        let id: String = serde_json::from_str(text).map_err(|_| "request_id is not a string")?;
        match id.len() {
            0 => Err("request_id is empty"),
            1..=MAX_REQUEST_ID => Ok(id),
            _ => Err("request_id is too long"),
        }
    }

    fn shard_token(&self) -> Result<String, &'static str> {
        if self.0.is_twice(Member::ShardToken) {
            return Err("shard_token occurs twice");
        }
        let text = self.0.given(Member::ShardToken).ok_or("shard_token is missing")?;
        let token: String = serde_json::from_str(text).map_err(|_| "shard_token is not a string")?;
        // White space at the ends would not survive the header that carries the token back.
        let legal = token.trim() == token && HeaderValue::from_bytes(token.as_bytes()).is_ok();
        match token.len() {
            0 => Err("shard_token is empty"),
            1..=MAX_SHARD_TOKEN if legal => Ok(token),
            1..=MAX_SHARD_TOKEN => Err("shard_token is not a legal header value"),
            _ => Err("shard_token is too long"),
        }
    }

    fn channel(&self) -> Option<Channel> {
        match self.0.given(Member::Channel) {
            None => Some(Channel::main()),
            Some(text) => Channel::normalise(&serde_json::from_str::<String>(text).ok()?),
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let text: String = serde_json::from_str(self.0.given(Member::ResponseTimeout)?).ok()?;
        timeout::parse(&text)
    }

    fn created_ms(&self) -> Option<u64> {
        epoch_ms(&serde_json::from_str::<String>(self.0.given(Member::CreatedAt)?).ok()?)
    }

    fn command_type(&self) -> Option<String> {
        serde_json::from_str(self.0.given(Member::CommandType)?).ok()
    }

    /// The type that answers such a command.
    fn resp_type(&self) -> RespType {
        match self.command_type().as_deref() {
            Some("session_termination") => RespType::SessionTermination,
            Some("oauth_discovery") => RespType::OauthDiscovery,
            _ => RespType::Jsonrpc,
        }
    }

    fn fault(&self, deep: bool) -> Result<(), Fault> {
        let invalid = |why| Err(Fault(INVALID_REQUEST, why));
        if deep {
            return invalid("command is nested too deeply");
        }
        if self.0.any_twice() {
            return invalid("a member of the command occurs twice");
        }
        match self.command_type().as_deref() {
            Some("jsonrpc" | "oauth_discovery" | "session_termination") => {}
            None | Some("") => return invalid("command_type is missing"),
            Some(_) => return Err(Fault(METHOD_NOT_FOUND, "unknown command_type")),
        }
        if self.channel().is_none() {
            return invalid("channel is not a channel name");
        }
        if self.0.given(Member::CreatedAt).is_some_and(|text| !text.starts_with('"')) {
            return invalid("created_at is not a string");
        }
        Ok(())
    }

    fn kind_and_headers(&self, body: &Bytes) -> Result<(Kind, Pairs), Fault> {
        let headers = match self.0.given(Member::Headers) {
            None => Vec::new(),
            Some(text) => headers::read(text).map_err(|why| Fault(INVALID_REQUEST, why))?,
        };
        let kind = match self.resp_type() {
            RespType::SessionTermination => {
                let names_it = |(name, values): &(String, Vec<String>)| {
                    name.eq_ignore_ascii_case("mcp-session-id") && values.iter().any(|v| !v.trim().is_empty())
                };
                if !headers.iter().any(names_it) {
                    return Err(Fault(INVALID_REQUEST, "session_termination without Mcp-Session-Id"));
                }
                Kind::SessionTermination
            }
            RespType::OauthDiscovery => Kind::OauthDiscovery,
            _ => {
                let text =
                    self.0.given(Member::Jsonrpc).ok_or(Fault(INVALID_REQUEST, "jsonrpc is missing"))?;
                if !text.starts_with('{') {
                    return Err(Fault(PARSE_ERROR, "jsonrpc is not an object"));
                }
                Kind::Jsonrpc(payload(body, text))
            }
        };
        Ok((kind, headers))
    }
}

/// The payload as its own piece of the body. A small payload of a large body is copied instead, lest one slow call
/// keeps all of the body in memory.
fn payload(body: &Bytes, text: &str) -> Bytes {
    if body.len() > SHARED_BODY && text.len() < body.len() / 2 {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    body.slice_ref(text.as_bytes())
}
