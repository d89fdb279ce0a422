//! The lab itself: what the other tests rely on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::lab::mcp::{self, Steps};
use crate::lab::{Command, ControlPlane, Options};

#[path = "lab_faults.rs"]
mod faults;
#[path = "lab_stub.rs"]
mod stub;

const SOON: Duration = Duration::from_secs(5);

/// Sends one request on a connection of its own; the body comes back whole, or as far as it came (`false`).
async fn send(
    url: &str,
    request: http::request::Builder,
    body: &str,
) -> (http::response::Parts, Bytes, bool) {
    let (head, mut body) = open(url, request, body).await.expect("an answer").into_parts();
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => all.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => return (head, all.into(), false),
        }
    }
    (head, all.into(), true)
}

async fn open(
    url: &str,
    request: http::request::Builder,
    body: &str,
) -> Result<Response<hyper::body::Incoming>, hyper::Error> {
    let uri: http::Uri = url.parse().unwrap();
    let stream = tokio::net::TcpStream::connect(uri.authority().unwrap().as_str()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().unwrap().as_str().to_owned();
    let body = Full::new(Bytes::from(body.to_owned()));
    sender.send_request(request.uri(path).header("host", "lab").body(body).unwrap()).await
}

/// A request as a good agent sends it.
fn agent(plane: &ControlPlane, method: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .header("authorization", format!("Bearer {}", plane.api_key))
        .header("accept", "application/json")
        .header("user-agent", "fake/1")
        .header("x-tunnel-client-name", "fake")
        .header("x-tunnel-client-version", "1")
        .header("x-tunnel-client-instance-id", "0123456789abcdef0123456789abcdef")
        .header("x-tunnel-mcp-server-info", r#"{"version":1,"channels":[{"name":"main"}]}"#)
}

fn poll_url(plane: &ControlPlane, query: &str) -> String {
    format!("{}/v1/tunnels/{}/poll?{query}", plane.url(), plane.tunnel_id)
}

async fn poll(plane: &ControlPlane, query: &str) -> (u16, Value) {
    let (head, body, _) = send(&poll_url(plane, query), agent(plane, "GET"), "").await;
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn post(plane: &ControlPlane, token: &str, body: &str) -> u16 {
    let url = format!("{}/v1/tunnels/{}/response", plane.url(), plane.tunnel_id);
    let request =
        agent(plane, "POST").header("content-type", "application/json").header("x-tunnel-shard-token", token);
    send(&url, request, body).await.0.status.as_u16()
}

fn terminal(id: &str, resp: &str) -> String {
    format!(
        r#"{{"request_id":"{id}","channel":"main","resp_json":{resp},"resp_code":200,"resp_type":"jsonrpc_response"}}"#
    )
}

/// The smallest agent: answers every polled command as the stub would.
fn spawn_agent(plane: Arc<ControlPlane>) {
    tokio::spawn(async move {
        loop {
            let (_, batch) = poll(&plane, "limit=25&timeout_ms=5000").await;
            for command in batch["commands"].as_array().cloned().unwrap_or_default() {
                answer(&plane, &command).await;
            }
        }
    });
}

async fn answer(plane: &ControlPlane, command: &Value) {
    let member = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
    let (id, token) = (member("request_id"), member("shard_token"));
    if member("command_type") == "session_termination" {
        let body = json!({"request_id": id, "channel": "main", "resp_code": 200, "resp_type": "session_termination_response"});
        post(plane, &token, &body.to_string()).await;
        return;
    }
    let respond = |kind: &str, text: &str| {
        format!(
            r#"{{"request_id":"{id}","channel":"main","resp_json":{text},"resp_headers":{{"Mcp-Session-Id":["s1"]}},"resp_code":200,"resp_type":"{kind}"}}"#
        )
    };
    let mut bodies = Vec::new();
    match mcp::answer(&command["jsonrpc"].to_string()) {
        Steps::Accepted => bodies.push(
            json!({"request_id": id, "channel": "main", "resp_code": 202, "resp_type": "notify_ack"})
                .to_string(),
        ),
        Steps::Answer(_, text) => bodies.push(respond("jsonrpc_response", &text)),
        Steps::Stream { notes, answer, .. } => {
            bodies.extend(notes.iter().map(|note| respond("jsonrpc_notify", note)));
            bodies.push(respond("jsonrpc_response", &answer));
        }
        Steps::Status(..) | Steps::Silent => {}
    }
    for body in bodies {
        post(plane, &token, &body).await;
    }
}

fn client() -> http::request::Builder {
    Request::post("/").header("accept", "application/json, text/event-stream")
}

#[tokio::test]
async fn an_idle_poll_waits_its_timeout_and_gets_204() {
    let plane = ControlPlane::start(Options::default()).await;
    let began = Instant::now();
    let (status, _) = poll(&plane, "limit=5&timeout_ms=150").await;
    assert_eq!(status, 204);
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!(plane.polls()[0].limit, Some(5));
    plane.assert_clean();
}

#[tokio::test]
async fn commands_respect_limit_and_channel_filter() {
    let plane = ControlPlane::start(Options::default()).await;
    for n in 0..3 {
        plane.enqueue(Command::call(&format!("r{n}"), "1", "ping", "{}"));
    }
    plane.enqueue(Command::call("other", "1", "ping", "{}").channel("files"));
    let (_, files) = poll(&plane, "channel=files&limit=25&timeout_ms=50").await;
    assert_eq!(files["commands"][0]["request_id"], "other");
    assert_eq!(files["commands"].as_array().unwrap().len(), 1);
    let (_, two) = poll(&plane, "limit=2&timeout_ms=50").await;
    assert_eq!(two["commands"].as_array().unwrap().len(), 2);
    assert_eq!(plane.queued(), 1);
}

#[tokio::test]
async fn an_abandoned_poll_takes_no_command() {
    let plane = Arc::new(ControlPlane::start(Options::default()).await);
    let abandoned = tokio::spawn({
        let plane = plane.clone();
        async move { poll(&plane, "limit=1&timeout_ms=5000").await }
    });
    plane.wait_for_poll(1, SOON).await;
    abandoned.abort();
    let _ = abandoned.await;
    plane.cut_connections();
    let first = tokio::spawn({
        let plane = plane.clone();
        async move { poll(&plane, "limit=1&timeout_ms=5000").await }
    });
    plane.wait_for_poll(2, SOON).await;
    plane.enqueue(Command::call("r1", "1", "ping", "{}"));
    assert_eq!(first.await.unwrap().1["commands"][0]["request_id"], "r1");
}

#[tokio::test]
async fn a_wrong_bearer_is_refused() {
    let plane = ControlPlane::start(Options::default()).await;
    let request = Request::builder().header("authorization", "Bearer wrong");
    let (head, body, _) = send(&poll_url(&plane, "limit=1&timeout_ms=9"), request, "").await;
    assert_eq!(head.status, 401);
    assert!(head.headers.contains_key("x-request-id"));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "invalid_api_key");
}

#[tokio::test]
async fn a_hosted_call_is_answered_as_json_and_keeps_its_id_text() {
    let plane = Arc::new(ControlPlane::start(Options::default()).await);
    spawn_agent(plane.clone());
    let text = r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"initialize","params":{}}"#;
    let (head, body, _) = send(&plane.hosted_url(), client(), text).await;
    assert_eq!(head.headers["content-type"], "application/json");
    assert_eq!(head.headers["mcp-session-id"], "s1");
    assert!(String::from_utf8_lossy(&body).contains(r#""id":9007199254740993"#));
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(send(&plane.hosted_url(), client(), note).await.0.status, 202);
    let end = Request::delete("/").header("mcp-session-id", "s1");
    assert_eq!(send(&plane.hosted_url(), end, "").await.0.status, 200);
    assert_eq!(send(&plane.hosted_url(), Request::get("/"), "").await.0.status, 405);
    assert_eq!(send(&plane.hosted_url(), client(), "[]").await.0.status, 400);
    plane.assert_clean();
}

#[tokio::test]
async fn notifications_turn_a_hosted_answer_into_a_stream() {
    let plane = Arc::new(ControlPlane::start(Options::default()).await);
    spawn_agent(plane.clone());
    let text =
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"stream","arguments":{"n":2}}}"#;
    let (head, body, whole) = send(&plane.hosted_url(), client(), text).await;
    assert_eq!(head.headers["content-type"], "text/event-stream");
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(body.matches("notifications/progress").count(), 2);
    assert!(whole && body.trim_end().lines().last().unwrap().contains(r#""id":"a","result""#), "{body}");
    plane.assert_clean();
}

#[tokio::test]
async fn a_hosted_call_that_nobody_polls_times_out_and_its_late_answer_is_refused() {
    let options = Options { hosted_timeout: Duration::from_millis(100), ..Options::default() };
    let plane = ControlPlane::start(options).await;
    let text = r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#;
    let (head, body, _) = send(&plane.hosted_url(), client(), text).await;
    assert_eq!(head.status, 504);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["id"], 5);
    let (_, batch) = poll(&plane, "limit=1&timeout_ms=50").await;
    let command = &batch["commands"][0];
    assert_eq!(command["response_timeout"], "100ms");
    let (id, token) = (command["request_id"].as_str().unwrap(), command["shard_token"].as_str().unwrap());
    let late = terminal(id, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    assert_eq!(post(&plane, token, &late).await, 404);
}

#[tokio::test]
async fn departures_from_the_contract_are_noted() {
    let plane = ControlPlane::start(Options::default()).await;
    let good = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let failure = |data: &str| {
        let error =
            format!(r#"{{"code":-32603,"message":"Bad Gateway","data":{{"tunnel_failure":{data}}}}}"#);
        terminal("r1", &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#))
    };
    let wrong_status =
        r#"{"version":1,"source":"dns","upstream_response_received":false,"upstream_status":502}"#;
    let wrong_closed = r#"{"version":1,"source":"transport_closed","upstream_response_received":true}"#;
    let wrong_kind =
        r#"{"version":1,"source":"tls","transport_error_kind":"bad","upstream_response_received":false}"#;
    let fine = r#"{"version":1,"source":"timeout","transport_error_kind":"timeout","upstream_response_received":false}"#;
    let cases = [
        (terminal("r1", good), None),
        (failure(fine), None),
        (terminal("r1", &good.replace(":1,", ":2,")), Some("answers id")),
        (terminal("r1", good).replace("main", "other"), Some("channel is")),
        (terminal("r1", good).replace("\"resp_code\"", "\"extra\":1,\"resp_code\""), Some("unknown field")),
        (terminal("r1", good).replace("jsonrpc_response", "notify_ack"), Some("carries resp_json")),
        (
            terminal("r1", good).replace("jsonrpc_response", "session_termination_response"),
            Some("does not answer"),
        ),
        (
            terminal("r1", good)
                .replace("\"resp_code\"", "\"resp_headers\":{\"content-type\":[\"a\"]},\"resp_code\""),
            Some("resp_headers holds"),
        ),
        (failure(wrong_status), Some("with upstream_status")),
        (failure(wrong_closed), Some("with a response received")),
        (failure(wrong_kind), Some("transport_error_kind")),
    ];
    for (body, expected) in cases {
        let plane = ControlPlane::start(Options::default()).await;
        plane.enqueue(Command::call("r1", "1", "ping", "{}"));
        poll(&plane, "limit=1&timeout_ms=50").await;
        post(&plane, "shard-r1", &body).await;
        match expected {
            None => plane.assert_clean(),
            Some(text) => assert!(
                plane.violations().iter().any(|v| v.contains(text)),
                "{body}: {:?}",
                plane.violations()
            ),
        }
    }
    plane.enqueue(Command::call("r1", "1", "ping", "{}"));
    assert_eq!(post(&plane, "wrong", &terminal("r1", good)).await, 401);
    assert_eq!(post(&plane, "shard-r1", &terminal("r1", good)).await, 200);
    assert_eq!(post(&plane, "shard-r1", &terminal("r1", good)).await, 404);
    assert_eq!(post(&plane, "shard-r9", &terminal("r9", good)).await, 404);
    assert_eq!(plane.responses_for("r1").iter().map(|r| r.status).collect::<Vec<_>>(), [401, 200, 404]);
    assert_eq!(plane.wait_for_response("r1", SOON).await.rpc()["result"], json!({}));
}
