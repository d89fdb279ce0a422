//! Taking a response POST: read it, hold it against the contract, hand it to whoever waits.

use std::time::Instant;

use http::Response;
use hyper::body::Incoming;

use super::body::Body;
use super::check;
use super::records::{ResponseRecord, Seen};
use super::state::State;
use super::tunnel::{error, json, read};

/// Takes one response POST; answers, and the number of its record.
pub async fn respond(
    state: &State,
    seen: Seen,
    body: Incoming,
    processes: bool,
) -> (Option<Response<Body>>, Option<usize>) {
    let arrived = seen.arrived;
    let Some(raw) = read(body).await else {
        return (Some(error(state, 413, "request_body_too_large", "the body could not be read")), None);
    };
    let payload: check::Payload<'_> = match serde_json::from_slice(&raw) {
        Ok(payload) => payload,
        Err(why) => {
            state.lock().violation(format!("response: body is not a response payload: {why}"));
            return (
                Some(error(state, 400, "invalid_json_payload", "the body is not a response payload")),
                None,
            );
        }
    };
    let record = ResponseRecord {
        raw: raw.clone(),
        complete: Instant::now(),
        request_id: payload.request_id.clone().into_owned(),
        channel: payload.channel.as_deref().map(str::to_owned),
        resp_type: payload.resp_type.clone().into_owned(),
        resp_code: payload.resp_code,
        resp_headers: payload.resp_headers.clone(),
        resp_json: payload.resp_json.map(|r| r.get().to_owned()),
        status: 0,
        accepted: false,
        seen,
    };
    let (status, number) = judge(state, &payload, record, arrived, processes);
    state.changed();
    let answer = match status {
        200 => json(state, 200, r#"{"status":"ok"}"#),
        401 => {
            error(state, 401, "tunnel_request_mismatch", "the shard token does not belong to this request")
        }
        _ => error(state, 404, "pending_request_not_found", "no such request is pending"),
    };
    (processes.then_some(answer), Some(number))
}

fn judge(
    state: &State,
    payload: &check::Payload<'_>,
    mut record: ResponseRecord,
    arrived: Instant,
    processes: bool,
) -> (u16, usize) {
    let id = payload.request_id.as_ref();
    let mut inner = state.lock();
    let token = record.seen.header("x-tunnel-shard-token");
    let (mut status, mut wrong, mut over) = (200, Vec::new(), false);
    match inner.pending.get_mut(id) {
        None => {
            status = 404;
            wrong.push(format!("response {id}: no such request was ever delivered"));
        }
        Some(p) if token != Some(p.expected.shard_token.as_str()) => {
            status = 401;
            wrong.push(format!("response {id}: shard token is {token:?}"));
        }
        Some(p) if p.done => status = 404,
        Some(p) if check::is_late(&p.expected, p.delivered, arrived) => {
            status = 404;
            wrong.push(format!("response {id}: posted long after the response deadline"));
        }
        Some(p) => {
            wrong = check::response(payload, &record.seen.headers, &p.expected);
            if processes {
                record.status = 200;
                // A caller of the hosted endpoint that is gone no longer waits for this request.
                over = p.sink.as_ref().is_some_and(|sink| sink.send(record.clone()).is_err());
                if over {
                    status = 404;
                }
                record.accepted = !over;
                over |= record.is_terminal();
            }
        }
    }
    if over {
        inner.finish(id);
    }
    for why in wrong {
        inner.violation(why);
    }
    record.status = 0;
    (status, inner.responses.push(record))
}
