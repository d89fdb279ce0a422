use super::*;
use crate::config::types::{Kept, Secret};

fn fixed(name: &str, value: &str) -> (String, Kept) {
    (name.into(), Secret::new(value.into()).into())
}

#[tokio::test]
async fn a_message_and_its_answer_pass_byte_for_byte() {
    let answer = r#" {"result":{"n":1.50,"big":9007199254740993,"t":"<&>"},  "id":9007199254740993,"jsonrpc":"2.0","x":1}"#;
    let server = Server::start(move |_, _| ok(answer)).await;
    let request = r#"{"id" : 9007199254740993, "jsonrpc":"2.0","method":"tools/call", "params":{"a":1.0,"b":"\u00e9"},"extra":[ ]}"#;
    let got = answer_to(&server.http(), call(request, &[])).await;
    assert_eq!(server.seen()[0].body, request.as_bytes());
    assert_eq!((got.code, got.text()), (200, answer));
}

#[tokio::test]
async fn case_125_accept_is_the_commands_or_the_default() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let http = server.http();
    answer_to(&http, call(REQUEST, &[])).await;
    answer_to(&http, call(REQUEST, &[("accept", "application/json")])).await;
    let seen = server.seen();
    assert_eq!(seen[0].one("accept"), Some("application/json, text/event-stream"));
    assert_eq!(seen[1].one("accept"), Some("application/json"));
    assert_eq!(seen[0].one("content-type"), Some("application/json"));
}

#[tokio::test]
async fn case_126_session_and_version_headers_are_the_commands_or_absent() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let http = server.http();
    // The first answer names a session; the next command does not, and so nothing is sent.
    answer_to(&http, call(REQUEST, &[])).await;
    answer_to(&http, call(REQUEST, &[])).await;
    answer_to(&http, call(REQUEST, &[("Mcp-Session-Id", "abc"), ("MCP-Protocol-Version", "2025-06-18")]))
        .await;
    let seen = server.seen();
    for request in &seen[..2] {
        assert_eq!(request.one("mcp-session-id"), None);
        assert_eq!(request.one("mcp-protocol-version"), None);
    }
    assert_eq!(seen[2].one("mcp-session-id"), Some("abc"));
    assert_eq!(seen[2].one("mcp-protocol-version"), Some("2025-06-18"));
}

#[tokio::test]
async fn case_127_all_values_of_a_header_reach_the_server() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let raw = [("X-Many".to_string(), vec!["1".to_string(), "2".to_string()])];
    let call = Call { headers: headers::forwardable(&raw).unwrap(), ..call(REQUEST, &[]) };
    answer_to(&server.http(), call).await;
    assert_eq!(server.seen()[0].all("x-many"), ["1", "2"]);
}

#[tokio::test]
async fn headers_of_the_command_replace_the_operators() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let http = server.http_with(|mcp, _| {
        mcp.extra_headers =
            vec![fixed("Authorization", "Bearer op"), fixed("X-Op", "1"), fixed("Content-Length", "9999")];
    });
    answer_to(&http, call(REQUEST, &[])).await;
    answer_to(&http, call(REQUEST, &[("AUTHORIZATION", "Bearer connector")])).await;
    let seen = server.seen();
    assert_eq!(seen[0].one("authorization"), Some("Bearer op"));
    assert_eq!(seen[1].one("authorization"), Some("Bearer connector"));
    assert!(seen.iter().all(|r| r.one("x-op") == Some("1") && r.body == REQUEST.as_bytes()));
}

#[tokio::test]
async fn the_agent_names_itself_when_the_command_names_nobody() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let http = server.http();
    answer_to(&http, call(REQUEST, &[])).await;
    answer_to(&http, call(REQUEST, &[("User-Agent", "connector/2")])).await;
    let seen = server.seen();
    assert_eq!(seen[0].one("user-agent"), Some(concat!("tunnelward/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen[1].one("user-agent"), Some("connector/2"));
}

#[tokio::test]
async fn case_134_compression_is_ours_and_undone() {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(RESULT.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let server = Server::start(move |_, _| {
        let mut bytes = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            packed.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&packed);
        vec![Act::Send(bytes)]
    })
    .await;
    let got = answer_to(&server.http(), call(REQUEST, &[("Accept-Encoding", "br")])).await;
    assert_eq!(got.text(), RESULT);
    assert_eq!(server.seen()[0].one("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn case_135_137_media_types_are_compared_without_case_or_parameters() {
    for media in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x=y"]
    {
        let server = Server::start(move |_, _| response("200 OK", Some(media), RESULT.as_bytes())).await;
        let got = answer_to(&server.http(), call(REQUEST, &[])).await;
        assert_eq!((got.code, got.text(), got.content_type()), (200, RESULT, "application/json"), "{media}");
        assert_eq!(got.headers.get("mcp-session-id").unwrap(), "s-1");
    }
}

#[tokio::test]
async fn case_141_a_notification_is_acknowledged_with_the_servers_status() {
    for (line, code) in [("202 Accepted", 202), ("204 No Content", 204), ("200 OK", 200)] {
        let server = Server::start(move |_, _| response(line, None, b"")).await;
        let got = the_answer(server.http().notification(call(NOTIFICATION, &[("X-A", "1")])).await);
        assert_eq!((got.code, got.body), (code, None));
        assert_eq!(server.seen()[0].body, NOTIFICATION.as_bytes());
        assert_eq!(server.seen()[0].one("x-a"), Some("1"));
    }
}

#[tokio::test]
async fn case_158_a_refused_notification_gets_an_error_without_an_id() {
    let server =
        Server::start(|_, _| response("405 Method Not Allowed", Some("application/json"), b"{}")).await;
    let got = the_answer(server.http().notification(call(NOTIFICATION, &[])).await);
    assert_eq!((got.code, got.failed().as_str()), (405, "target_http/invalid_mcp_error"));
    let body: Json = serde_json::from_str(got.text()).unwrap();
    assert!(body.get("id").is_none());
    assert_eq!(body["error"]["data"]["tunnel_failure"]["upstream_status"], 405);
}

#[tokio::test]
async fn a_notification_that_reaches_nobody_is_acknowledged_with_502() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let http = http_at(&format!("http://{addr}/"), |_, _| {});
    let got = the_answer(http.notification(call(NOTIFICATION, &[])).await);
    assert_eq!((got.code, got.body), (502, None));
}

#[tokio::test]
async fn case_165_the_query_of_the_url_is_kept() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    answer_to(&server.http(), call(REQUEST, &[])).await;
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /mcp?k=v HTTP/1.1");
    assert_eq!(seen[0].one("host"), Some(server.addr.to_string().as_str()));
}

#[tokio::test]
async fn case_166_calls_one_after_the_other_share_a_connection() {
    let server = Server::start(|n, _| match n % 3 {
        0 => ok(RESULT),
        1 => response("400 Bad Request", None, b"no"),
        _ => response("202 Accepted", Some("text/plain"), b"Accepted"),
    })
    .await;
    let http = server.http();
    for _ in 0..100 {
        answer_to(&http, call(REQUEST, &[])).await;
    }
    assert_eq!(server.seen().len(), 100);
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_is_read_to_its_end_behind_the_answer_and_gives_its_connection_back() {
    let server = Server::start(|_, _| {
        let mut acts = stream(&["data: ", RESULT, "\n\n"]);
        acts.insert(4, Act::Wait(5));
        acts
    })
    .await;
    let http = server.http();
    for _ in 0..10 {
        assert_eq!(answer_to(&http, call(REQUEST, &[])).await.text(), RESULT);
        // Long enough for the end of the stream on a busy machine, and shorter than a connection is kept.
        sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn case_167_an_answer_before_the_request_was_read_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = http_at(&format!("http://{}/", listener.local_addr().unwrap()), |_, _| {});
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = [0; 1024];
        let _ = stream.read(&mut some).await;
        let Act::Send(bytes) = ok(RESULT).remove(0) else { panic!() };
        stream.write_all(&bytes).await.unwrap();
        sleep(Duration::from_secs(60)).await;
    });
    let large =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"p":"{}"}}}}"#, "x".repeat(8 << 20));
    let got = answer_to(&http, call(&large, &[])).await;
    assert_eq!((got.code, got.text()), (200, RESULT));
}

#[tokio::test]
async fn over_tls_and_http_2_calls_share_a_connection_and_keep_their_headers() {
    use http_body_util::{BodyExt as _, Full};
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let (mut config, roots) = localhost();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let echo = service_fn(|request: hyper::Request<Incoming>| async move {
        assert_eq!(request.version(), http::Version::HTTP_2);
        assert_eq!(request.uri().query(), Some("k=v"));
        let token = request.headers()["authorization"].clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let event = format!("data: {PROGRESS}\n\ndata: {RESULT}\n\n");
        let body = if body == REQUEST.as_bytes() { event } else { String::new() };
        let response =
            Response::builder().header("content-type", "text/event-stream").header("x-token", token);
        response.body(Full::new(Bytes::from(body)))
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(async move { serving.serve_connection(stream, echo).await });
        }
    });
    let http = http_trusting(&roots, &format!("https://localhost:{port}/mcp?k=v"), |_, _| {});
    for _ in 0..10 {
        let (end, notes) = ask(&http, call(REQUEST, &[("Authorization", "Bearer t")])).await;
        let got = the_answer(end);
        assert_eq!((got.code, got.text(), notes.len()), (200, RESULT, 1));
        assert_eq!(got.headers.get("x-token").unwrap(), "Bearer t");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
