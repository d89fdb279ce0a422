use super::*;

fn named() -> HeaderMap {
    let raw = [
        ("mcp-session-id".to_string(), vec!["abc".to_string()]),
        ("Authorization".into(), vec!["Bearer t".into()]),
    ];
    headers::forwardable(&raw).unwrap()
}

#[tokio::test]
async fn case_193_a_session_is_ended_by_one_delete_with_the_commands_headers() {
    for (line, code) in
        [("200 OK", 200), ("204 No Content", 204), ("405 Method Not Allowed", 405), ("500 No", 500)]
    {
        let server = Server::start(move |_, _| response(line, None, b"")).await;
        let answer = the_answer(server.http().terminate(named(), None).await);
        assert_eq!((answer.code, answer.body), (code, None));
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].line, "DELETE /mcp?k=v HTTP/1.1");
        assert_eq!(seen[0].one("mcp-session-id"), Some("abc"));
        assert_eq!(seen[0].one("authorization"), Some("Bearer t"));
        assert!(seen[0].body.is_empty());
    }
}

#[tokio::test]
async fn case_190_a_server_that_is_gone_gives_502() {
    let addr = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let http = http_at(&format!("http://{addr}/"), |_, _| {});
    let answer = the_answer(http.terminate(named(), None).await);
    assert_eq!((answer.code, answer.body), (502, None));
}

#[tokio::test]
async fn a_delete_ends_with_the_deadline_of_its_command() {
    let server = Server::start(|_, _| vec![Act::Wait(60_000)]).await;
    let deadline = Instant::now() + Duration::from_millis(200);
    assert!(matches!(server.http().terminate(named(), Some(deadline)).await, End::DeadlinePassed));
    assert!(deadline.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_delete_is_bounded_by_the_age_limit_whatever_its_command_allows() {
    let server = Server::start(|_, _| vec![Act::Wait(60_000)]).await;
    let http = server.http_with(|mcp, _| mcp.connection_max_ttl = Duration::from_millis(200));
    let far = Instant::now() + Duration::from_secs(3600);
    let ended = tokio::time::timeout(Duration::from_secs(5), http.terminate(named(), Some(far))).await;
    assert_eq!(the_answer(ended.unwrap()).code, 502);
}

#[tokio::test]
async fn nothing_else_ever_deletes_a_session() {
    let server = Server::start(|n, _| match n {
        0 => response("500 No", Some("text/html"), b"<html>"),
        1 => response("200 OK", Some("text/html"), b"<html>"),
        2 => stream(&["data: nonsense\n\n"]),
        3 => open_stream(&[": hm\n\n"]).into_iter().chain([Act::Wait(60_000)]).collect(),
        _ => ok(RESULT),
    })
    .await;
    let http = server.http_with(|mcp, _| mcp.connection_max_ttl = Duration::from_millis(300));
    for code in [500, 502, 502, 502] {
        assert_eq!(answer_to(&http, call(REQUEST, &[("Mcp-Session-Id", "abc")])).await.code, code);
    }
    sleep(Duration::from_millis(200)).await;
    assert!(server.seen().iter().all(|r| r.line.starts_with("POST ")), "{:?}", server.seen());
}
