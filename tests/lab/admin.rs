//! The lab's own endpoints, on a plain loopback listener without a bearer: faults, state, raw commands, and the hosted
//! MCP endpoint for clients that should not need the lab's certificate.

use std::sync::Arc;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use serde_json::json;

use super::body::Body;
use super::faults::Fault;
use super::server::Conn;
use super::state::State;
use super::{hosted, tunnel};

/// Serves one request to the lab's own listener.
pub async fn serve(
    state: Arc<State>,
    request: Request<Incoming>,
    _conn: Arc<Conn>,
) -> Option<Response<Body>> {
    let path = request.uri().path().to_owned();
    if let Some(rest) = path.strip_prefix("/v1/mcp/") {
        return Some(hosted::serve(state, request, rest.to_owned()).await);
    }
    let method = request.method().clone();
    Some(match (method, path.as_str()) {
        (Method::POST, "/lab/faults") => faults(&state, request).await,
        (Method::DELETE, "/lab/faults") => {
            state.clear_faults();
            tunnel::json(&state, 200, "{}")
        }
        (Method::POST, "/lab/commands") => commands(&state, request).await,
        (Method::GET, "/lab/state") => tunnel::json(&state, 200, summary(&state)),
        (Method::GET, "/lab/violations") => {
            let all = json!(state.lock().violations);
            tunnel::json(&state, 200, all.to_string())
        }
        (Method::GET, "/lab/responses") => tunnel::json(&state, 200, responses(&state)),
        _ => tunnel::error(&state, 404, "not_found", "no such endpoint of the lab"),
    })
}

/// One fault object, or an array of them.
async fn faults(state: &State, request: Request<Incoming>) -> Response<Body> {
    let body = tunnel::read(request.into_body()).await.unwrap_or_default();
    let parsed = serde_json::from_slice::<Fault>(&body)
        .map(|fault| vec![fault])
        .or_else(|one| serde_json::from_slice::<Vec<Fault>>(&body).map_err(|_| one));
    match parsed {
        Ok(all) => {
            all.into_iter().for_each(|fault| state.add_fault(fault));
            tunnel::json(state, 200, "{}")
        }
        Err(why) => tunnel::error(state, 400, "bad_fault", &why.to_string()),
    }
}

/// The body is the text of one element of `commands`, queued as it is.
async fn commands(state: &State, request: Request<Incoming>) -> Response<Body> {
    let body = tunnel::read(request.into_body()).await.unwrap_or_default();
    match String::from_utf8(body.to_vec()) {
        Ok(text) => {
            state.enqueue(text, None);
            tunnel::json(state, 200, "{}")
        }
        Err(_) => tunnel::error(state, 400, "bad_command", "not UTF-8"),
    }
}

fn summary(state: &State) -> String {
    let inner = state.lock();
    let pending = inner.pending.values().filter(|p| !p.done).count();
    let (accepted, open, failed) = inner.server.as_ref().map(|s| s.counts()).unwrap_or_default();
    json!({
        "connections": {"accepted": accepted, "open": open, "failed_handshakes": failed},
        "polls": inner.polls.count(),
        "responses": inner.responses.count(),
        "metadata": inner.metadata.count(),
        "queued": inner.queued(),
        "pending": pending,
        "violations": inner.violations.len(),
        "most_concurrent_polls": inner.most_waiters(),
    })
    .to_string()
}

fn responses(state: &State) -> String {
    let inner = state.lock();
    let last: Vec<String> = inner
        .responses
        .iter()
        .rev()
        .take(100)
        .map(|r| String::from_utf8_lossy(&r.raw).into_owned())
        .collect();
    format!("[{}]", last.join(","))
}
