//! The hosted MCP endpoint: turns Streamable HTTP of any MCP client into polled commands and answers back.
//!
//! Payloads and answers pass as text, byte for byte. No bearer is asked for here: an `Authorization` that is not the
//! lab's own key belongs to the MCP server and is passed on.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::body::Body;
use super::command::{Command, canonical};
use super::records::ResponseRecord;
use super::state::State;
use super::tunnel::{error, json, read, stamp};

/// Headers of the client that are passed on; everything that begins with `mcp-` is too.
const PASSED_ON: [&str; 7] =
    ["accept", "authorization", "last-event-id", "traceparent", "tracestate", "user-agent", "x-request-id"];

#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Serves `{tunnel_id}[/{channel}]`.
pub async fn serve(state: Arc<State>, request: Request<Incoming>, rest: String) -> Response<Body> {
    let (tunnel, channel) = rest.split_once('/').unwrap_or((&rest, "main"));
    if tunnel != state.options.tunnel_id {
        return error(&state, 404, "tunnel_not_found", "no such tunnel");
    }
    let Some(channel) = canonical(channel) else {
        return error(&state, 400, "invalid_channel_format", "not a channel name");
    };
    match *request.method() {
        Method::POST => post(state, request, &channel).await,
        Method::DELETE => delete(state, request, &channel).await,
        _ => {
            let mut refusal = error(&state, 405, "method_not_allowed", "POST and DELETE only");
            refusal.headers_mut().insert("allow", HeaderValue::from_static("POST, DELETE"));
            refusal
        }
    }
}

async fn post(state: Arc<State>, request: Request<Incoming>, channel: &str) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Some(body) = read(body).await else {
        return error(&state, 413, "request_body_too_large", "the body could not be read");
    };
    let Some((payload, id)) = std::str::from_utf8(&body).ok().and_then(peek) else {
        let body =
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not one JSON-RPC message"}}"#;
        return json(&state, 400, body);
    };
    let accepts =
        |kind: &str| head.headers.get_all(ACCEPT).iter().any(|v| v.to_str().is_ok_and(|v| v.contains(kind)));
    let wants_json = accepts("application/json") || accepts("*/*") || !head.headers.contains_key(ACCEPT);
    let command = dress(Command::jsonrpc(&fresh(&state), payload), &state, &head.headers, channel);
    let mut answers = send(&state, &command);
    let Some(first) = next(&state, &mut answers).await else { return timed_out(&state, id.as_deref()) };
    if first.is_terminal() && (wants_json || first.resp_json.is_none()) {
        return whole(&state, first);
    }
    stream(state, first, answers, id)
}

async fn delete(state: Arc<State>, request: Request<Incoming>, channel: &str) -> Response<Body> {
    let Some(session) = request.headers().get("mcp-session-id").and_then(|v| v.to_str().ok()) else {
        return error(&state, 400, "missing_mcp_session_id", "Mcp-Session-Id is missing");
    };
    let command = Command::session_termination(&fresh(&state), session);
    let mut others = request.headers().clone();
    others.remove("mcp-session-id");
    let mut answers = send(&state, &dress(command, &state, &others, channel));
    match next(&state, &mut answers).await {
        Some(answer) => whole(&state, answer),
        None => timed_out(&state, None),
    }
}

/// The text of a single JSON-RPC object and its raw id.
fn peek(body: &str) -> Option<(&str, Option<String>)> {
    let text = body.trim_matches([' ', '\t', '\r', '\n']);
    if !text.starts_with('{') {
        return None;
    }
    let peek: Peek<'_> = serde_json::from_str(text).ok()?;
    Some((text, peek.id.map(|id| id.get().to_owned())))
}

fn fresh(state: &State) -> String {
    format!("req_{:08x}", state.number())
}

fn dress(command: Command, state: &State, headers: &HeaderMap, channel: &str) -> Command {
    let own = format!("Bearer {}", state.options.api_key);
    let timeout = format!("{}ms", state.options.hosted_timeout.as_millis());
    let mut command = command
        .shard_token(&format!("shard-{:x}", state.number().wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .channel(channel)
        .response_timeout(&timeout);
    for (name, value) in headers {
        let passes = name.as_str().starts_with("mcp-") || PASSED_ON.contains(&name.as_str());
        let Ok(value) = value.to_str() else { continue };
        if passes && !(name == AUTHORIZATION && value == own) {
            command = command.header(&canonical_case(name.as_str()), value);
        }
    }
    command
}

/// `mcp-session-id` as `Mcp-Session-Id`, the spelling the hosted control plane uses.
fn canonical_case(name: &str) -> String {
    let mut upper = true;
    let case = |c: char| if std::mem::replace(&mut upper, c == '-') { c.to_ascii_uppercase() } else { c };
    name.chars().map(case).collect()
}

fn send(state: &State, command: &Command) -> mpsc::UnboundedReceiver<ResponseRecord> {
    let (sink, answers) = mpsc::unbounded_channel();
    state.enqueue(command.text(), Some(sink));
    answers
}

async fn next(
    state: &State,
    answers: &mut mpsc::UnboundedReceiver<ResponseRecord>,
) -> Option<ResponseRecord> {
    tokio::time::timeout(state.options.hosted_timeout, answers.recv()).await.ok().flatten()
}

fn timed_out(state: &State, id: Option<&str>) -> Response<Body> {
    json(state, 504, timeout_body(id))
}

fn timeout_body(id: Option<&str>) -> String {
    let id = id.unwrap_or("null");
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32000,"message":"the tunnel did not answer in time"}}}}"#
    )
}

fn pass_back(from: &ResponseRecord, to: &mut HeaderMap) {
    for (name, values) in &from.resp_headers {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else { continue };
        for value in values {
            if let Ok(value) = HeaderValue::from_str(value) {
                to.append(name.clone(), value);
            }
        }
    }
}

fn whole(state: &State, answer: ResponseRecord) -> Response<Body> {
    let body = answer.resp_json.as_ref().map_or_else(Body::empty, |text| Body::full(text.clone()));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.resp_code).unwrap_or(StatusCode::BAD_GATEWAY);
    pass_back(&answer, response.headers_mut());
    response.headers_mut().remove(CONTENT_TYPE);
    if answer.resp_json.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    stamp(state, response)
}

fn stream(
    state: Arc<State>,
    first: ResponseRecord,
    mut answers: mpsc::UnboundedReceiver<ResponseRecord>,
    id: Option<String>,
) -> Response<Body> {
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    let mut response = Response::new(Body::channel(receiver));
    pass_back(&first, response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let response = stamp(&state, response);
    tokio::spawn(async move {
        let mut answer = first;
        loop {
            let text = answer.resp_json.as_deref().unwrap_or_default();
            if sender.send(event(text)).await.is_err() || answer.is_terminal() {
                return;
            }
            match next(&state, &mut answers).await {
                Some(next) => answer = next,
                None => {
                    let _ = sender.send(event(&timeout_body(id.as_deref()))).await;
                    return;
                }
            }
        }
    });
    response
}

/// One server-sent event; a payload of several lines becomes several data lines.
fn event(json: &str) -> Bytes {
    let mut out = String::from("event: message\n");
    for line in json.split(['\n', '\r']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out.into()
}
