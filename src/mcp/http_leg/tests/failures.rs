use super::*;

/// The answer to one request that the server meets with `acts`.
async fn met_with(acts: Vec<Act>) -> Answer {
    let server = Server::start(move |_, _| acts.clone()).await;
    answer_to(&server.http_with(|_, limits| limits.answer_bytes = 200_000), call(REQUEST, &[])).await
}

fn head(status: &str, lines: &str) -> Vec<Act> {
    vec![Act::Send(format!("HTTP/1.1 {status}\r\n{lines}\r\n").into_bytes())]
}

#[tokio::test]
async fn case_138_139_a_success_that_cannot_carry_the_answer_is_502() {
    let cases = [
        response("200 OK", Some("text/html"), b"<html>"),
        response("200 OK", None, RESULT.as_bytes()),
        response("200 OK", Some("application/json-seq"), RESULT.as_bytes()),
        response("200 OK", Some("application/json"), b""),
        response("202 Accepted", None, b""),
        head("204 No Content", ""),
    ];
    for acts in cases {
        let what = format!("{acts:?}");
        let got = met_with(acts).await;
        assert_eq!((got.code, got.failed().as_str()), (502, "protocol/non_protocol_response"), "{what}");
    }
}

#[tokio::test]
async fn case_142_143_a_body_that_is_not_one_message_is_502() {
    for body in ["{\"jsonrpc\":", "not json", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]"] {
        let got = met_with(ok(body)).await;
        assert_eq!((got.code, got.failed().as_str()), (502, "protocol/malformed_json"), "{body}");
    }
}

#[tokio::test]
async fn another_message_than_the_response_is_502() {
    for body in [
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#,
    ] {
        let got = met_with(ok(body)).await;
        assert_eq!((got.code, got.failed().as_str()), (502, "protocol/invalid_protocol_response"), "{body}");
        assert!(got.failure.unwrap().received);
    }
}

#[tokio::test]
async fn case_145_a_cut_body_is_502_at_once() {
    let mut acts = head("200 OK", "Content-Type: application/json\r\nContent-Length: 1000\r\n");
    acts.extend([Act::Send(RESULT.into()), Act::Close]);
    let got = met_with(acts).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/unexpected_eof"));
}

#[tokio::test]
async fn case_146_an_endless_body_is_cut_at_the_bound() {
    let mut acts = head("200 OK", "Content-Type: application/json\r\n");
    acts.extend((0..100).map(|_| Act::Send(vec![b' '; 100_000])));
    let got = met_with(acts).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "protocol/response_body_too_large"));
}

#[tokio::test]
async fn case_147_a_401_keeps_its_challenges() {
    let lines = "WWW-Authenticate: Bearer realm=\"a\"\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n";
    let got = met_with(head("401 Unauthorized", lines)).await;
    assert_eq!((got.code, got.failed().as_str()), (401, "target_http/response_body_missing"));
    let body: Json = serde_json::from_str(got.text()).unwrap();
    assert_eq!(body["error"]["message"], "Unauthorized");
    assert_eq!(body["error"]["data"]["tunnel_failure"]["upstream_status"], 401);
    let challenges: Vec<_> = got.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer realm=\"a\"", "Basic"]);
}

#[tokio::test]
async fn case_149_an_mcp_error_of_the_server_passes_byte_for_byte() {
    let body = " {\"x\":1, \"jsonrpc\":\"2.0\" ,\"id\":1,\"error\":{\"code\":-32004,\"message\":\"<a&b>\",\"data\":[ ]}}\n";
    for (line, code) in [("400 Bad Request", 400), ("404 Not Found", 404), ("500 No", 500)] {
        let got = met_with(response(line, Some("text/plain"), body.as_bytes())).await;
        assert_eq!((got.code, got.text(), got.content_type()), (code, body, "application/json"));
        assert!(got.failure.is_none());
    }
}

#[tokio::test]
async fn case_150_an_error_of_another_request_is_replaced() {
    let body = br#"{"jsonrpc":"2.0","id":2,"error":{"code":-32000,"message":"other"}}"#;
    let got = met_with(response("400 Bad Request", Some("application/json"), body)).await;
    assert_eq!((got.code, got.failed().as_str()), (400, "target_http/invalid_mcp_error"));
    assert!(!got.text().contains("other"));
}

#[tokio::test]
async fn case_154_nothing_of_an_error_page_is_passed_on() {
    let got =
        met_with(response("500 Internal Server Error", Some("text/html"), b"<html>secret</html>")).await;
    assert_eq!((got.code, got.failed().as_str()), (500, "target_http/malformed_json"));
    assert!(!got.text().contains("secret"));
}

#[tokio::test]
async fn case_155_an_error_body_is_looked_at_up_to_100_kib() {
    let error = |size: usize| {
        let empty = r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#;
        empty.replace("\"\"", &format!("\"{}\"", "m".repeat(size - empty.len())))
    };
    let whole = error(102_400);
    assert_eq!(met_with(response("502 Bad Gateway", None, whole.as_bytes())).await.text(), whole);
    let got = met_with(response("502 Bad Gateway", None, error(102_401).as_bytes())).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "target_http/response_body_too_large"));
}

#[tokio::test]
async fn an_error_body_that_breaks_off_is_unreadable() {
    let mut acts = head("503 No", "Content-Length: 1000\r\n");
    acts.extend([Act::Send(b"{".to_vec()), Act::Close]);
    let got = met_with(acts).await;
    assert_eq!((got.code, got.failed().as_str()), (503, "target_http/response_body_unreadable"));
}

#[tokio::test]
async fn case_130_131_157_a_redirect_is_an_answer_and_nobody_is_asked_again() {
    let other = Server::start(|_, _| ok(RESULT)).await;
    let location = format!("Location: http://{}/\r\nContent-Length: 0\r\n", other.addr);
    for (line, code) in
        [("302 Found", 302), ("303 See Other", 303), ("307 Temporary Redirect", 307), ("308 No", 308)]
    {
        let got = met_with(head(line, &location)).await;
        assert_eq!((got.code, got.failed().as_str()), (code, "protocol/response_body_missing"));
        assert!(got.failure.unwrap().received);
    }
    assert!(other.seen().is_empty());
    let got = met_with(head("304 Not Modified", "")).await;
    assert_eq!((got.code, got.failed().as_str()), (304, "protocol/response_body_missing"));
}

#[tokio::test]
async fn case_159_a_refused_connection_is_told_as_such() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let got = answer_to(&http_at(&format!("http://{addr}/secret"), |_, _| {}), call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "connect/connection_refused"));
    assert!(!got.text().contains("secret") && !got.text().contains("127.0.0.1"));
    assert_eq!(got.headers.len(), 1);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_such() {
    let got = answer_to(&http_at("http://no-such-host.invalid/", |_, _| {}), call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "dns/dns"));
}

#[tokio::test]
async fn case_161_an_untrusted_certificate_is_told_as_such() {
    let (config, _) = localhost();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let got =
        answer_to(&http_at(&format!("https://localhost:{port}/secret"), |_, _| {}), call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "tls/tls"));
    assert!(!got.text().contains("localhost") && !got.text().contains("secret"));
}

#[tokio::test]
async fn case_162_a_connection_that_closes_without_a_byte_is_told_as_such() {
    let got = met_with(vec![Act::Close]).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/eof"));
    assert!(!got.failure.unwrap().received);
}

#[tokio::test]
async fn something_else_than_http_is_told_as_such() {
    let got = met_with(vec![Act::Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()), Act::Close]).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "protocol/non_protocol_response"));
}

#[tokio::test]
async fn a_request_that_reached_the_server_is_never_sent_twice() {
    let server = Server::start(|_, _| vec![Act::Close]).await;
    answer_to(&server.http(), call(REQUEST, &[])).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn case_90_the_deadline_ends_a_call_without_an_answer() {
    let server = Server::start(|n, _| match n {
        0 => vec![Act::Wait(60_000)],
        _ => [head("200 OK", "Content-Type: application/json\r\n"), vec![Act::Wait(60_000)]].concat(),
    })
    .await;
    let http = server.http();
    for _ in 0..2 {
        let deadline = Instant::now() + Duration::from_millis(200);
        let (end, _) = ask(&http, Call { deadline: Some(deadline), ..call(REQUEST, &[]) }).await;
        assert!(matches!(end, End::DeadlinePassed));
        assert!(deadline.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn case_95_a_deadline_that_has_passed_contacts_nobody() {
    let server = Server::start(|_, _| ok(RESULT)).await;
    let http = server.http();
    let late = || Call { deadline: Some(Instant::now()), ..call(REQUEST, &[]) };
    assert!(matches!(ask(&http, late()).await.0, End::DeadlinePassed));
    assert!(matches!(http.notification(late()).await, End::DeadlinePassed));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_age_limit_gives_a_timeout_failure() {
    let server = Server::start(|_, _| vec![Act::Wait(60_000)]).await;
    let http = server.http_with(|mcp, _| mcp.connection_max_ttl = Duration::from_millis(200));
    let got = answer_to(&http, call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "timeout/timeout"));
    assert!(!got.failure.unwrap().received);
    let got = the_answer(http.notification(call(NOTIFICATION, &[])).await);
    assert_eq!((got.code, got.failed().as_str()), (502, "timeout/timeout"));
}

#[tokio::test]
async fn case_222_neither_the_body_nor_the_log_says_where_the_server_is() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (log, lines) = Log::memory();
    let mut http = http_at(&format!("http://{addr}/secret?token=secret"), |_, _| {});
    http.log = log;
    let got = answer_to(&http, call(REQUEST, &[("Authorization", "Bearer secret")])).await;
    let told = lines.lock().unwrap().join("\n");
    assert!(told.contains("connection_refused"), "{told}");
    assert!(
        !told.contains("secret") && !told.contains("127.0.0.1") && !got.text().contains("secret"),
        "{told}"
    );
}
