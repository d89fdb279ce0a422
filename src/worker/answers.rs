//! The answers that need no MCP server: malformed commands, unknown channels, kinds that are not built. Pure.
//!
//! None of them repeats what the peer sent, except a channel name and an id.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::call::Reply;
use crate::control::respond::RespType;
use crate::control::wire::{Kind, Malformed};
use crate::ipc::msg::CallKind;
use crate::mcp::failure::{Failure, Kind as FailureKind, Source};
use crate::mcp::headers::HeaderProblem;
use crate::mcp::jsonrpc::{self, Invalid, Message};

/// JSON-RPC: no such method.
const METHOD_NOT_FOUND: i32 = -32601;
/// The agent's own code for what its policy refuses.
const POLICY_REFUSED: i32 = -32050;
/// JSON-RPC: internal error; what the protocol wants for an unsupported channel.
const INTERNAL_ERROR: i32 = -32603;

fn json() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

fn rpc_error(http: u16, id: Option<&str>, code: i32, message: &str) -> Reply {
    let body = jsonrpc::error_body(id, code, message, None);
    Reply { resp_type: RespType::Jsonrpc, code: http, headers: json(), body: Some(body) }
}

fn termination(code: u16) -> Reply {
    Reply { resp_type: RespType::SessionTermination, code, headers: HeaderMap::new(), body: None }
}

fn oauth(code: u16, name: &str, message: &str) -> Reply {
    let error = serde_json::json!({"error": {
        "code": name, "message": message, "type": "invalid_request_error",
    }});
    let body = Some(Bytes::from(error.to_string()));
    Reply { resp_type: RespType::OauthDiscovery, code, headers: json(), body }
}

/// For a command whose ids could be read, but not the rest.
#[must_use]
pub fn malformed(m: &Malformed) -> Reply {
    match m.resp_type {
        RespType::SessionTermination => termination(400),
        _ => rpc_error(400, Some(m.rpc_id.as_deref().unwrap_or("null")), m.code, m.message),
    }
}

/// For a call that the policy refuses, or whose answer it holds back: nothing but the rule. Neither 401 nor 403, which would
/// start a client's authorization.
#[must_use]
pub fn refused(id: Option<&str>, rule: &str) -> Reply {
    let Some(id) = id else {
        return Reply { resp_type: RespType::NotifyAck, code: 202, headers: HeaderMap::new(), body: None };
    };
    let data = serde_json::json!({"origin": "tunnelward", "rule": rule}).to_string();
    let body = jsonrpc::error_body(Some(id), POLICY_REFUSED, "Refused by the call policy", Some(&data));
    Reply { resp_type: RespType::Jsonrpc, code: 200, headers: json(), body: Some(body) }
}

/// For the end of a session on a channel that the policy closes: it stays open, as where a server ends none.
#[must_use]
pub fn termination_refused() -> Reply {
    termination(405)
}

/// For a `jsonrpc` member that is no request or notification.
#[must_use]
pub fn invalid(invalid: &Invalid) -> Reply {
    rpc_error(400, Some(invalid.id().unwrap_or("null")), invalid.code(), &invalid.to_string())
}

/// For headers that cannot be forwarded.
#[must_use]
pub fn bad_headers(id: Option<&str>, kind: &Kind, problem: &HeaderProblem) -> Reply {
    match kind {
        Kind::SessionTermination => termination(HeaderProblem::CODE),
        Kind::Jsonrpc(_) | Kind::OauthDiscovery => {
            let (resp_type, code) = (RespType::Jsonrpc, HeaderProblem::CODE);
            Reply { resp_type, code, headers: json(), body: Some(problem.body(id)) }
        }
    }
}

/// The 501 for the `harpoon` channel and for OAuth discovery on `main`; `None` for everything that is built.
#[must_use]
pub fn not_built(channel: &str, kind: &Kind, message: Option<&Message>) -> Option<Reply> {
    const OAUTH: &str = "OAuth discovery is not built into this version of tunnelward";
    const HARPOON: &str = "Not Implemented: the harpoon channel is not built into this version of tunnelward";
    match (channel, kind) {
        ("main", Kind::OauthDiscovery) => Some(oauth(501, "not_implemented", OAUTH)),
        ("harpoon", Kind::Jsonrpc(_)) => {
            Some(rpc_error(501, message.and_then(Message::id), METHOD_NOT_FOUND, HARPOON))
        }
        ("harpoon", Kind::SessionTermination) => Some(termination(501)),
        _ => None,
    }
}

/// For a channel that has no binding, or OAuth discovery on any channel but `main`.
#[must_use]
pub fn unsupported_channel(channel: &str, kind: &Kind, message: Option<&Message>) -> Reply {
    match kind {
        Kind::SessionTermination => termination(400),
        Kind::OauthDiscovery => {
            oauth(400, "unsupported_channel", &format!("unsupported channel {channel:?}"))
        }
        Kind::Jsonrpc(_) => {
            let text = format!("Bad Request: unsupported channel {channel:?}");
            rpc_error(400, message.and_then(Message::id), INTERNAL_ERROR, &text)
        }
    }
}

/// For a call that may have been forwarded by a worker that died.
#[must_use]
pub fn in_doubt(kind: CallKind, id: Option<&str>) -> Reply {
    unanswered(kind, id, Some(FailureKind::Unknown))
}

/// For a call that a stopping worker cannot wait for any longer. A call that was cancelled names no kind.
#[must_use]
pub fn given_up(kind: CallKind, id: Option<&str>) -> Reply {
    unanswered(kind, id, None)
}

fn unanswered(kind: CallKind, id: Option<&str>, cause: Option<FailureKind>) -> Reply {
    match kind {
        CallKind::Request => {
            let source = Source::ClientInternal;
            let failure = Failure { source, kind: cause, received: false, status: None };
            let body = Some(failure.body(id));
            Reply { resp_type: RespType::Jsonrpc, code: failure.code(), headers: json(), body }
        }
        CallKind::Notification => {
            Reply { resp_type: RespType::NotifyAck, code: 502, headers: HeaderMap::new(), body: None }
        }
        CallKind::Termination => termination(502),
    }
}
