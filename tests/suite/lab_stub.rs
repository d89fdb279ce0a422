//! The lab's MCP stubs, its raw server, its TLS, and its command.

use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::{SOON, client, open, poll, send};
use crate::lab::raw::http_answer;
use crate::lab::{Ca, Command, ControlPlane, Options, Part, RawServer, Reply, Stub, StubOptions};

fn tool(name: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    )
}

#[tokio::test]
async fn the_stub_answers_by_itself_and_records_what_it_was_asked() {
    let stub = Stub::start(StubOptions::default()).await;
    let (head, _, _) =
        send(&stub.url(), client(), r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#).await;
    assert_eq!(head.headers["mcp-session-id"], "session-1");
    let (_, body, _) = send(&stub.url(), client(), &tool("echo", r#"{"text":"\u0061 <&>"}"#)).await;
    assert_eq!(
        body,
        r#"{"jsonrpc":"2.0","id":1.5,"result":{"content":[{"type":"text","text":"\u0061 <&>"}]}}"#
    );
    assert_eq!(send(&stub.url(), client(), &tool("fail", r#"{"status":418}"#)).await.0.status, 418);
    let (_, body, _) = send(&stub.url(), client(), &tool("big", r#"{"bytes":70000}"#)).await;
    assert!(body.len() > 70_000);
    let (head, body, _) = send(&stub.url(), client(), &tool("stream", r#"{"n":3}"#)).await;
    assert_eq!(head.headers["content-type"], "text/event-stream");
    assert_eq!(String::from_utf8_lossy(&body).matches("data: ").count(), 4);
    let seen = stub.wait_for_requests(5, SOON).await;
    assert_eq!((seen[0].rpc_method(), seen[4].connection), ("initialize".into(), 5));
}

#[tokio::test]
async fn the_stub_plays_scripts_and_asks_its_handler() {
    let stub = Stub::start(StubOptions::default()).await;
    stub.on_next(Reply::sse().event("{}").wait(Duration::from_millis(60)).event("{}").then(Part::Cut));
    stub.handler(|request| request.text().contains("ping").then(|| Reply::json(500, "{}")));
    let began = Instant::now();
    let (_, body, whole) = send(&stub.url(), client(), "{}").await;
    assert_eq!((&body[..], whole), (&b"data: {}\n\ndata: {}\n\n"[..], false));
    assert!(began.elapsed() >= Duration::from_millis(60));
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(send(&stub.url(), client(), ping).await.0.status, 500);
    assert_eq!(send(&stub.url(), client(), &tool("echo", "{}")).await.0.status, 200);
}

#[tokio::test]
async fn what_goes_down_refuses_connections_and_comes_back_on_the_same_port() {
    let mut stub = Stub::start(StubOptions::default()).await;
    let url = stub.url();
    let hanging = tokio::spawn({
        let url = url.clone();
        async move { open(&url, client(), &tool("silent", "{}")).await.is_err() }
    });
    stub.wait_for_requests(1, SOON).await;
    stub.go_down();
    assert!(hanging.await.unwrap(), "the call in flight is cut");
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let mut refused = false;
    for _ in 0..100 {
        refused = tokio::net::TcpStream::connect(&address).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused);
    stub.come_back().await;
    assert_eq!(
        (send(&url, client(), &tool("echo", "{}")).await.0.status, stub.url()),
        (http::StatusCode::OK, url)
    );
}

#[tokio::test]
async fn the_raw_server_writes_exactly_what_it_is_told() {
    let server = RawServer::start(|request| match request.position {
        1 => vec![Part::Data(http_answer("200 OK", "text/plain", "one").into())],
        _ => vec![Part::Data("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".into()), Part::Cut],
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    stream
        .write_all(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nde").await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.ends_with("\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "{all}");
    let bodies: Vec<_> = server.requests().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies, [b"abc".to_vec(), b"de".to_vec()]);
}

/// The status of a metadata request over TLS, or why there was none.
async fn over_tls(plane: &ControlPlane, config: std::sync::Arc<rustls::ClientConfig>) -> Result<u16, String> {
    let uri: http::Uri = plane.url().parse().unwrap();
    let stream = tokio::net::TcpStream::connect(uri.authority().unwrap().as_str()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let stream =
        tokio_rustls::TlsConnector::from(config).connect(name, stream).await.map_err(|e| e.to_string())?;
    let request = Request::get(format!("{}/v1/tunnels/{}", plane.url(), plane.tunnel_id))
        .header("host", "lab")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        return sender.send_request(request).await.map(|r| r.status().as_u16()).map_err(|e| e.to_string());
    }
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    sender.send_request(request).await.map(|r| r.status().as_u16()).map_err(|e| e.to_string())
}

#[tokio::test]
async fn tls_negotiates_http2_and_is_refused_by_those_who_do_not_trust_it() {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    assert_eq!(over_tls(&plane, plane.ca.client_config(None, true)).await, Ok(401));
    assert_eq!(over_tls(&plane, plane.ca.client_config(None, false)).await, Ok(401));
    let seen: Vec<_> = plane.connections().iter().map(|c| c.alpn.clone().unwrap()).collect();
    assert_eq!(seen, ["h2", "http/1.1"]);
    let stranger = over_tls(&plane, Ca::new().client_config(None, true)).await;
    assert_eq!(stranger, Err("invalid peer certificate: UnknownIssuer".into()));
}

#[tokio::test]
async fn a_client_certificate_of_the_lab_is_required_when_asked_for() {
    let options = Options { tls: true, require_client_cert: true, http2: false, ..Options::default() };
    let plane = ControlPlane::start(options).await;
    assert!(over_tls(&plane, plane.ca.client_config(None, true)).await.is_err());
    let other = Ca::new().client("stranger");
    assert!(over_tls(&plane, plane.ca.client_config(Some(&other), true)).await.is_err());
    let own = plane.ca.client("agent");
    assert_eq!(over_tls(&plane, plane.ca.client_config(Some(&own), true)).await, Ok(401));
    assert_eq!(plane.connections().iter().map(|c| c.client_cert.is_some()).collect::<Vec<_>>(), [true]);
}

#[tokio::test]
async fn an_intermediate_and_an_expired_certificate_can_be_issued() {
    let ca = Ca::new();
    let below = ca.intermediate().server();
    assert_eq!(below.cert_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert_ne!(below.der(), ca.server_expired().der());
}

#[tokio::test]
async fn a_prefix_moves_every_endpoint() {
    let plane = ControlPlane::start(Options { prefix: "/gw".into(), ..Options::default() }).await;
    assert_eq!(poll(&plane, "limit=1&timeout_ms=10").await.0, 404);
    plane.enqueue(Command::call("r1", "1", "ping", "{}"));
    let url = format!("{}/gw/v1/tunnels/{}/poll?limit=1&timeout_ms=10", plane.url(), plane.tunnel_id);
    assert_eq!(send(&url, super::agent(&plane, "GET"), "").await.0.status, 200);
}

/// Runs the stdio stub, writes `input`, and returns the lines it wrote before it ended.
#[expect(clippy::disallowed_methods, reason = "the stub is a process")]
async fn stdio(args: &[&str], input: &str) -> (Vec<String>, Option<i32>) {
    let mut child = tokio::process::Command::from(std::process::Command::new(crate::lab::program()))
        .arg("stub-stdio")
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let _ = stdin.write_all(input.as_bytes()).await;
    let mut all = Vec::new();
    let expected = input.lines().filter(|line| line.contains("\"id\"")).count();
    while all
        .iter()
        .filter(|line: &&String| line.contains("\"result\"") || line.contains("\"error\""))
        .count()
        < expected
    {
        match tokio::time::timeout(SOON, lines.next_line()).await {
            Ok(Ok(Some(line))) => all.push(line),
            _ => break,
        }
    }
    drop(stdin);
    while let Ok(Ok(Some(line))) = tokio::time::timeout(SOON, lines.next_line()).await {
        all.push(line);
    }
    let code =
        tokio::time::timeout(SOON, child.wait()).await.expect("it ends with its input").unwrap().code();
    (all, code)
}

#[tokio::test]
async fn the_stdio_stub_answers_and_ends_with_its_input() {
    let input = format!("{}\n{}\n", tool("echo", r#"{"text":"hi"}"#), tool("stream", r#"{"n":2}"#));
    let (lines, code) = stdio(&[], &input).await;
    assert_eq!((lines.len(), code), (4, Some(0)), "{lines:?}");
    assert!(lines.contains(
        &r#"{"jsonrpc":"2.0","id":1.5,"result":{"content":[{"type":"text","text":"hi"}]}}"#.to_owned()
    ));
}

#[tokio::test]
async fn the_stdio_stub_misbehaves_as_told() {
    let echo = format!("{}\n", tool("echo", "{}"));
    let (lines, _) =
        stdio(&["--banner", "Hello there", "--duplicate", "--flood", "2", "--partial"], &echo).await;
    assert_eq!((lines[0].as_str(), lines.len()), ("Hello there", 5), "{lines:?}");
    assert_eq!(lines[3], lines[4]);
    let (lines, code) = stdio(&["--exit-after", "2", "--exit-code", "7"], &format!("{echo}{echo}")).await;
    assert!((lines.len(), code) <= (1, Some(7)) && code == Some(7), "{lines:?} {code:?}");
    let (lines, _) =
        stdio(&["--legacy"], "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"server/discover\"}\n").await;
    assert_eq!(serde_json::from_str::<Value>(&lines[0]).unwrap()["error"]["code"], -32601);
}

#[tokio::test]
async fn a_tls_stub_does_not_answer_plain_http() {
    let stub = Stub::start(StubOptions { tls: true, ..StubOptions::default() }).await;
    assert!(stub.url().starts_with("https://"));
    let response = open(&stub.url().replace("https", "http"), client(), "{}").await;
    assert!(response.is_err(), "plain HTTP is not answered");
    assert_eq!(stub.server().failed_handshakes(), 1);
}
