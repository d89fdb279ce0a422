//! The tunnel endpoints: metadata, poll, response, and the managed-token endpoint that the lab does not offer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::body::Body;
use super::check;
use super::faults::{Fault, On};
use super::records::{PollRecord, Seen};
use super::responses::respond;
use super::server::Conn;
use super::state::State;

/// The largest request body the lab reads.
const MAX_BODY: usize = 64 << 20;

/// The most commands one poll returns.
const MAX_LIMIT: usize = 25;

/// A JSON answer with the headers every answer has.
pub fn json(state: &State, status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    stamp(state, response)
}

/// Adds the `X-Request-Id` that every answer carries.
pub fn stamp(state: &State, mut response: Response<Body>) -> Response<Body> {
    let id = HeaderValue::from_str(&format!("lab_{}", state.number())).unwrap();
    response.headers_mut().insert("x-request-id", id);
    response
}

/// An error in the documented shape.
pub fn error(state: &State, status: u16, code: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({"error": {
        "message": message, "type": "invalid_request_error", "code": code, "param": null
    }});
    json(state, status, body.to_string())
}

/// Reads a request body.
pub async fn read(body: Incoming) -> Option<Bytes> {
    Some(Limited::new(body, MAX_BODY).collect().await.ok()?.to_bytes())
}

/// What is recorded of any request.
pub fn seen(request: &Request<Incoming>, conn: &Conn) -> Seen {
    Seen {
        arrived: Instant::now(),
        version: request.version(),
        connection: conn.number,
        target: format!("{} {}", request.method(), request.uri().path_and_query().map_or("", |p| p.as_str())),
        headers: request.headers().clone(),
    }
}

/// Serves a path below `/v1/tunnels/`; `rest` is what follows.
pub async fn serve(
    state: Arc<State>,
    request: Request<Incoming>,
    conn: Arc<Conn>,
    rest: String,
) -> Option<Response<Body>> {
    let (id, endpoint) = rest.split_once('/').unwrap_or((&rest, ""));
    let on = match (request.method(), endpoint) {
        (&Method::GET, "") => On::Metadata,
        (&Method::GET, "poll") => On::Poll,
        (&Method::POST, "response") => On::Response,
        _ => return Some(error(&state, 404, "not_found", "no such endpoint")),
    };
    let seen = seen(&request, &conn);
    let fault = state.take_fault(on);
    let poll =
        (on == On::Poll).then(|| record_poll(&state, &seen, request.uri().query().unwrap_or_default()));
    let refusal = refuse(&state, &request, id);
    if refusal.is_none() {
        check_headers(&state, &seen);
    }
    if on == On::Metadata {
        state.lock().metadata.push(seen.clone());
        state.changed();
    }
    if let Some(fault) = &fault {
        fault.delay().await;
    }
    let processes = fault.as_ref().is_none_or(Fault::processes);
    let mut posted = None;
    let normal = match (refusal, on) {
        (Some(refusal), _) => Some(refusal),
        (None, On::Response) => {
            // The body is read in any case, so that what was posted is known.
            let (answer, number) = respond(&state, seen, request.into_body(), processes).await;
            posted = number;
            answer
        }
        (None, _) if !processes => None,
        (None, On::Poll) => Some(deliver(&state, poll.as_ref(), fault.as_ref()).await),
        (None, _) => Some(metadata(&state)),
    };
    let answer = match fault {
        Some(fault) => fault.spoil(normal, &conn.line).await.map(|r| stamp(&state, r)),
        None => normal,
    };
    note_answer(&state, poll.map(|p| p.0), posted, answer.as_ref());
    answer
}

fn note_answer(state: &State, poll: Option<usize>, posted: Option<usize>, answer: Option<&Response<Body>>) {
    let status = answer.map_or(0, |r| r.status().as_u16());
    let mut inner = state.lock();
    if let Some(record) = poll.and_then(|number| inner.polls.get_mut(number)) {
        record.answered = Some((status, Instant::now()));
    }
    if let Some(record) = posted.and_then(|number| inner.responses.get_mut(number)) {
        record.status = status;
    }
    drop(inner);
    state.changed();
}

fn refuse(state: &State, request: &Request<Incoming>, id: &str) -> Option<Response<Body>> {
    let bearer = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let key = bearer.strip_prefix("Bearer ").unwrap_or_default();
    if key != state.options.api_key && !state.lock().more_keys.iter().any(|more| more == key) {
        return Some(error(state, 401, "invalid_api_key", "the API key is not accepted"));
    }
    if id != state.options.tunnel_id {
        return Some(error(state, 404, "tunnel_not_found", "no such tunnel"));
    }
    None
}

fn check_headers(state: &State, seen: &Seen) {
    let wrong = check::request_headers(&seen.headers);
    if !wrong.is_empty() {
        let mut inner = state.lock();
        for why in wrong {
            inner.violation(format!("{}: {why}", seen.target));
        }
    }
}

fn metadata(state: &State) -> Response<Body> {
    let body = serde_json::json!({
        "id": state.options.tunnel_id, "name": "lab tunnel", "description": "A tunnel of the lab",
    });
    json(state, 200, body.to_string())
}

fn record_poll(state: &State, seen: &Seen, query: &str) -> (usize, PollRecord) {
    let mut record = PollRecord {
        seen: seen.clone(),
        query: query.to_owned(),
        limit: None,
        timeout_ms: None,
        channels: Vec::new(),
        answered: None,
    };
    let mut wrong = Vec::new();
    for pair in query.split('&').filter(|p| !p.is_empty()) {
        match pair.split_once('=') {
            Some(("limit", n)) => record.limit = n.parse().ok(),
            Some(("timeout_ms", n)) => record.timeout_ms = n.parse().ok(),
            Some(("channel", name)) => record.channels.push(name.to_owned()),
            _ => wrong.push(format!("poll: unknown query parameter {pair:?}")),
        }
    }
    if record.limit.is_none_or(|l| !(1..=25).contains(&l)) || record.timeout_ms.is_none_or(|t| t < 1) {
        wrong.push(format!("poll: limit or timeout_ms is missing or out of range: {query}"));
    }
    if record.channels.iter().any(|c| super::command::canonical(c).as_deref() != Some(c)) {
        wrong.push(format!("poll: a channel is not canonical: {query}"));
    }
    let mut inner = state.lock();
    for why in wrong {
        inner.violation(why);
    }
    let number = inner.polls.push(record.clone());
    drop(inner);
    state.changed();
    (number, record)
}

async fn deliver(state: &State, poll: Option<&(usize, PollRecord)>, fault: Option<&Fault>) -> Response<Body> {
    let (limit, channels, timeout) = match poll {
        Some((_, p)) => (p.limit, p.channels.clone(), p.timeout_ms),
        None => (None, Vec::new(), None),
    };
    let limit = usize::try_from(limit.unwrap_or(25)).unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
    let timeout = Duration::from_millis(timeout.unwrap_or(30_000));
    let mut commands = state.poll(limit, channels, timeout).await;
    if commands.is_empty() {
        let mut response = stamp(state, Response::new(Body::empty()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    if fault.is_some_and(|f| f.redeliver) {
        state.put_back(commands.clone());
    }
    if fault.is_some_and(|f| f.duplicate) {
        commands.extend(commands.clone());
    }
    let mut inner = state.lock();
    for id in commands.iter().filter_map(|c| c.request_id.as_ref()) {
        if let Some(pending) = inner.pending.get_mut(id) {
            pending.delivered.get_or_insert_with(Instant::now);
        }
    }
    drop(inner);
    let mut body = String::with_capacity(commands.iter().map(|c| c.text.len() + 1).sum::<usize>() + 16);
    body.push_str("{\"commands\":[");
    for command in &commands {
        body.push_str(&command.text);
        body.push(',');
    }
    body.pop();
    body.push_str("]}");
    json(state, 200, body)
}
