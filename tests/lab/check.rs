//! The contract, checked strictly: what an agent sends is compared with the published rules, and every departure is a
//! sentence in the list of violations. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::command::{Due, Expected};

/// The values of `tunnel_failure.source`.
pub const SOURCES: [&str; 8] =
    ["target_http", "dns", "tls", "connect", "transport_closed", "timeout", "protocol", "client_internal"];

/// The values of `tunnel_failure.transport_error_kind`.
pub const KINDS: [&str; 22] = [
    "closed_pipe",
    "connection_aborted",
    "connection_closed",
    "connection_refused",
    "connection_reset",
    "dial",
    "dns",
    "eof",
    "host_unreachable",
    "http_status",
    "invalid_mcp_error",
    "invalid_protocol_response",
    "malformed_json",
    "network_unreachable",
    "non_protocol_response",
    "response_body_missing",
    "response_body_too_large",
    "response_body_unreadable",
    "timeout",
    "tls",
    "unexpected_eof",
    "unknown",
];

/// The headers of an upstream answer that may be passed back, in the spelling they must have.
const PASSED_BACK: [&str; 6] = [
    "Access-Control-Expose-Headers",
    "Content-Type",
    "Last-Event-Id",
    "Mcp-Protocol-Version",
    "Mcp-Session-Id",
    "Www-Authenticate",
];

/// How late after its deadline an answer may arrive before it counts as posted after the deadline.
const LATENESS: Duration = Duration::from_millis(500);

/// The body of a response POST; unknown and repeated members are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload<'a> {
    /// The command's identifier.
    #[serde(borrow)]
    pub request_id: Cow<'a, str>,
    /// The channel.
    #[serde(borrow)]
    pub channel: Option<Cow<'a, str>>,
    /// The answer, raw.
    #[serde(borrow)]
    pub resp_json: Option<&'a RawValue>,
    /// The upstream's headers.
    #[serde(default)]
    pub resp_headers: BTreeMap<String, Vec<String>>,
    /// The HTTP status.
    pub resp_code: u16,
    /// The kind.
    #[serde(borrow)]
    pub resp_type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Rpc<'a> {
    jsonrpc: Option<Value>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<Value>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The rules for the headers of every request to the control plane.
pub fn request_headers(headers: &HeaderMap) -> Vec<String> {
    let mut out = Vec::new();
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    for name in ["user-agent", "x-tunnel-client-name", "x-tunnel-client-version"] {
        if text(name).is_empty() {
            out.push(format!("{name} is missing"));
        }
    }
    if text("accept") != "application/json" {
        out.push(format!("accept is {:?}", text("accept")));
    }
    let instance = text("x-tunnel-client-instance-id");
    if instance.len() != 32 || !instance.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        out.push(format!("x-tunnel-client-instance-id is {instance:?}, not 32 lowercase hexadecimal digits"));
    }
    let wire = text("x-tunnel-client-wire-protocol-version");
    if !wire.is_empty() && (wire.len() != 10 || wire.bytes().filter(|b| *b == b'-').count() != 2) {
        out.push(format!("x-tunnel-client-wire-protocol-version is {wire:?}, not a date"));
    }
    if let Some(info) = headers.get("x-tunnel-mcp-server-info") {
        out.extend(server_info(info.to_str().unwrap_or_default()));
    }
    out
}

fn server_info(text: &str) -> Option<String> {
    let wrong = |why: &str| Some(format!("x-tunnel-mcp-server-info {why}: {text}"));
    if text.len() > 4096 || text.contains(": ") {
        return wrong("is not compact or exceeds 4096 bytes");
    }
    let Ok(Value::Object(info)) = serde_json::from_str(text) else { return wrong("is not an object") };
    let version = info.get("version").and_then(Value::as_u64);
    let channels = info.get("channels").and_then(Value::as_array);
    let (Some(version @ 1..=2), Some(channels), 2) = (version, channels, info.len()) else {
        return wrong("needs exactly version 1 or 2 and channels");
    };
    let mut names = Vec::new();
    for channel in channels {
        let Some(members) = channel.as_object() else { return wrong("holds a channel that is no object") };
        let name = members.get("name").and_then(Value::as_str).unwrap_or_default();
        if super::command::canonical(name).as_deref() != Some(name) || names.contains(&name) {
            return wrong("holds a name that is not canonical or not unique");
        }
        names.push(name);
        let legal = |key: &String, value: &Value| match key.as_str() {
            "name" => true,
            "proc_affinity" => *value == Value::Bool(true),
            "stateless" => version == 2 && *value == Value::Bool(true),
            _ => false,
        };
        if !members.iter().all(|(key, value)| legal(key, value)) {
            return wrong("holds an unknown or false member");
        }
    }
    if names.is_empty() || names.len() > 32 { wrong("needs 1 to 32 channels") } else { None }
}

/// The rules for one response POST that answers `expected`.
pub fn response(payload: &Payload<'_>, headers: &HeaderMap, expected: &Expected) -> Vec<String> {
    let mut out = Vec::new();
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if text("content-type") != Some("application/json") {
        out.push(format!("content-type is {:?}", text("content-type")));
    }
    if text("x-client-request-id") != expected.client_request_id.as_deref() {
        out.push(format!("x-client-request-id is {:?}", text("x-client-request-id")));
    }
    let channel = expected.channel.as_deref().unwrap_or("main");
    if payload.channel.as_deref() != Some(channel) {
        out.push(format!("channel is {:?}, not {channel:?}", payload.channel));
    }
    if !(100..=599).contains(&payload.resp_code) {
        out.push(format!("resp_code is {}", payload.resp_code));
    }
    for (name, values) in &payload.resp_headers {
        let passes = PASSED_BACK.contains(&name.as_str());
        if !passes && payload.resp_type != "oauth_discovery_response" {
            out.push(format!("resp_headers holds {name:?}"));
        }
        if values.is_empty() || values.iter().any(String::is_empty) {
            out.push(format!("resp_headers holds {name:?} with an empty value"));
        }
    }
    match (payload.resp_type.as_ref(), payload.resp_json) {
        ("notify_ack" | "session_termination_response", Some(_)) => {
            out.push(format!("{} carries resp_json", payload.resp_type));
        }
        ("jsonrpc_response" | "jsonrpc_notify" | "oauth_discovery_response", None) => {
            out.push(format!("{} carries no resp_json", payload.resp_type));
        }
        ("jsonrpc_response", Some(raw)) => out.extend(rpc_response(raw.get(), expected)),
        ("jsonrpc_notify", Some(raw)) => out.extend(rpc_notification(raw.get())),
        _ => {}
    }
    let kinds: &[&str] = match expected.due {
        Due::Response => &["jsonrpc_response", "jsonrpc_notify"],
        Due::Acknowledgement => &["notify_ack", "jsonrpc_response"],
        Due::Termination => &["session_termination_response"],
        Due::Discovery => &["oauth_discovery_response"],
        Due::Anything => {
            &["jsonrpc_response", "notify_ack", "session_termination_response", "oauth_discovery_response"]
        }
    };
    if !kinds.contains(&payload.resp_type.as_ref()) {
        out.push(format!("resp_type {:?} does not answer this command", payload.resp_type));
    }
    out.into_iter().map(|why| format!("response {}: {why}", expected.request_id)).collect()
}

/// Whether an answer that arrived now comes too late for the command's response timeout.
pub fn is_late(expected: &Expected, delivered: Option<Instant>, arrived: Instant) -> bool {
    match (expected.timeout, delivered) {
        // Zero means that the command was over when it arrived: there is nothing to be late for.
        (Some(Duration::ZERO), _) => true,
        (Some(timeout), Some(delivered)) => arrived.saturating_duration_since(delivered) > timeout + LATENESS,
        _ => false,
    }
}

fn rpc_response(raw: &str, expected: &Expected) -> Vec<String> {
    let mut out = Vec::new();
    let Ok(rpc) = serde_json::from_str::<Rpc<'_>>(raw) else {
        return vec!["resp_json is not one JSON-RPC object".into()];
    };
    if rpc.jsonrpc != Some(Value::from("2.0")) || rpc.method.is_some() {
        out.push("resp_json is not a JSON-RPC 2.0 response".into());
    }
    if rpc.result.is_some() && rpc.error.is_some() {
        out.push("resp_json has both result and error".into());
    }
    let id = rpc.id.map(RawValue::get);
    if expected.due == Due::Response && !same_id(id, expected.rpc_id.as_deref()) {
        out.push(format!("resp_json answers id {id:?} instead of {:?}", expected.rpc_id));
    }
    let data = rpc.error.and_then(|e| serde_json::from_str::<Value>(e.get()).ok());
    if let Some(failure) = data.as_ref().and_then(|e| e.pointer("/data/tunnel_failure")) {
        out.extend(tunnel_failure(failure));
    }
    out
}

fn same_id(a: Option<&str>, b: Option<&str>) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    match (a, b) {
        (Some(a), Some(b)) => {
            let (x, y) = (value(a), value(b));
            a == b
                || x == y
                || x.and_then(|v| v.as_f64()).is_some_and(|x| y.and_then(|v| v.as_f64()) == Some(x))
        }
        (a, b) => a == b,
    }
}

fn rpc_notification(raw: &str) -> Option<String> {
    match serde_json::from_str::<Rpc<'_>>(raw) {
        Ok(Rpc { id: None, method: Some(Value::String(_)), result: None, error: None, .. }) => None,
        _ => Some("jsonrpc_notify carries something else than a notification".into()),
    }
}

/// The published rules for `error.data.tunnel_failure`.
pub fn tunnel_failure(failure: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let get = |name: &str| failure.get(name).filter(|v| !v.is_null());
    if get("version").and_then(Value::as_u64).is_none_or(|v| v < 1) {
        out.push(format!("version is {:?}", get("version")));
    }
    let source = get("source").and_then(Value::as_str).unwrap_or_default();
    if !SOURCES.contains(&source) {
        out.push(format!("source is {source:?}"));
    }
    let known = |kind: &Value| kind.as_str().is_some_and(|k| KINDS.contains(&k));
    if let Some(kind) = get("transport_error_kind").filter(|kind| !known(kind)) {
        out.push(format!("transport_error_kind is {kind}"));
    }
    let received = get("upstream_response_received").and_then(Value::as_bool);
    let status = get("upstream_status");
    let in_range = status.and_then(Value::as_u64).is_some_and(|s| (400..=599).contains(&s));
    match (source, received) {
        (_, None) => out.push("upstream_response_received is missing".into()),
        ("target_http", Some(received)) if !received || !in_range => {
            out.push(format!("target_http with received {received} and status {status:?}"));
        }
        ("transport_closed", Some(true)) => out.push("transport_closed with a response received".into()),
        _ => {}
    }
    if source != "target_http" && status.is_some() {
        out.push(format!("{source} with upstream_status {status:?}"));
    }
    out.into_iter().map(|why| format!("tunnel_failure: {why}")).collect()
}
