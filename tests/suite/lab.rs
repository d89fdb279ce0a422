//! The lab itself: what the other tests rely on.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::lab::{Command, ControlPlane, Options};

/// Sends one request on a connection of its own; the body comes back whole, or as far as it came.
async fn send(
    url: &str,
    request: http::request::Builder,
    body: String,
) -> (http::response::Parts, Bytes, bool) {
    let response = open(url, request, body).await.expect("an answer");
    let (head, mut body) = response.into_parts();
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
    body: String,
) -> Result<Response<hyper::body::Incoming>, hyper::Error> {
    let uri: http::Uri = url.parse().unwrap();
    let stream = tokio::net::TcpStream::connect(uri.authority().unwrap().as_str()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().unwrap().as_str().to_owned();
    let request = request.uri(path).header("host", "lab").body(Full::new(Bytes::from(body))).unwrap();
    sender.send_request(request).await
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

async fn poll(plane: &ControlPlane, query: &str) -> (u16, Value) {
    let url = format!("{}/v1/tunnels/{}/poll?{query}", plane.url(), plane.tunnel_id);
    let (head, body, _) = send(&url, agent(plane, "GET"), String::new()).await;
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn post(plane: &ControlPlane, token: &str, body: Value) -> u16 {
    let url = format!("{}/v1/tunnels/{}/response", plane.url(), plane.tunnel_id);
    let request =
        agent(plane, "POST").header("content-type", "application/json").header("x-tunnel-shard-token", token);
    send(&url, request, body.to_string()).await.0.status.as_u16()
}

fn text(command: &Value, name: &str) -> String {
    command[name].as_str().unwrap_or_default().to_owned()
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
async fn a_wrong_bearer_is_refused() {
    let plane = ControlPlane::start(Options::default()).await;
    let url = format!("{}/v1/tunnels/{}/poll?limit=1&timeout_ms=9", plane.url(), plane.tunnel_id);
    let request = Request::builder().header("authorization", "Bearer wrong");
    let (head, body, _) = send(&url, request, String::new()).await;
    assert_eq!(head.status, 401);
    assert!(head.headers.contains_key("x-request-id"));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"]["code"], "invalid_api_key");
}
