use super::*;

const PROGRESS: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"n": 1}}"#;
const LATER: &str = r#"{"method":"notifications/progress","jsonrpc":"2.0","params":{"n":2 }}"#;

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

fn bodies(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|n| std::str::from_utf8(&n.body).unwrap()).collect()
}

async fn served(acts: Vec<Act>) -> (Answer, Vec<Note>) {
    let server = Server::start(move |_, _| acts.clone()).await;
    let (end, notes) = ask(&server.http(), call(REQUEST, &[])).await;
    (the_answer(end), notes)
}

#[tokio::test]
async fn case_169_notifications_come_in_order_and_then_the_answer() {
    let (got, notes) = served(stream(&[&event(PROGRESS), &event(LATER), &event(RESULT)])).await;
    assert_eq!(bodies(&notes), [PROGRESS, LATER]);
    assert!(notes.iter().all(|n| n.code == 200 && n.headers.get("mcp-session-id").unwrap() == "s-1"));
    assert_eq!((got.code, got.text()), (200, RESULT));
    assert_eq!(got.content_type(), "text/event-stream; charset=utf-8");
    assert_eq!(got.headers.get("mcp-session-id").unwrap(), "s-1");
}

#[tokio::test]
async fn a_notification_is_passed_on_while_the_answer_is_awaited() {
    let acts = [open_stream(&[&event(PROGRESS)]), vec![Act::Wait(60_000)]].concat();
    let server = Server::start(move |_, _| acts.clone()).await;
    let http = server.http();
    let (notes, mut arrived) = mpsc::channel(1);
    let reading = http.request(call(REQUEST, &[]), &notes);
    tokio::select! {
        _ = reading => panic!("there is no answer"),
        note = arrived.recv() => assert_eq!(note.unwrap().body, PROGRESS.as_bytes()),
    }
}

#[tokio::test]
async fn a_note_that_nobody_wants_does_not_cost_the_answer() {
    let server = Server::start(|_, _| stream(&[&event(PROGRESS), &event(LATER), &event(RESULT)])).await;
    let (notes, arrived) = mpsc::channel(1);
    drop(arrived);
    let got = the_answer(server.http().request(call(REQUEST, &[]), &notes).await);
    assert_eq!(got.text(), RESULT);
}

#[tokio::test]
async fn case_170_171_174_175_odd_streams_are_understood() {
    let result = r#"{"jsonrpc":"2.0","id":1,"result":{"t":"é"}}"#;
    let text = format!(": ping\r\n\r\nevent: ping\r\ndata: {{}}\r\n\r\nnonsense\r\ndata: {result}\r\n\r\n");
    for cut in 1..text.len() {
        if !text.is_char_boundary(cut) {
            continue;
        }
        let (a, b) = text.split_at(cut);
        let (got, notes) = served(stream(&[a, b])).await;
        assert_eq!((got.text(), notes.len()), (result, 0), "cut at {cut}");
    }
}

#[tokio::test]
async fn case_177_a_stream_that_ends_without_answer_or_id_is_502() {
    for acts in [stream(&[": hello\n\n"]), stream(&[&event(PROGRESS)]), stream(&["data: {\"jsonrpc\""])] {
        let (got, _) = served(acts).await;
        assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/eof"));
    }
    let cut = [open_stream(&[&event(PROGRESS)]), vec![Act::Close]].concat();
    let (got, notes) = served(cut).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/unexpected_eof"));
    assert_eq!(notes.len(), 1);
}

#[tokio::test]
async fn an_answer_without_its_closing_blank_line_counts() {
    let (got, _) = served(stream(&["data: ", RESULT])).await;
    assert_eq!((got.code, got.text()), (200, RESULT));
}

/// The first stream breaks after an id; what the GET gets is up to the test.
fn broken(cut: bool) -> Vec<Act> {
    let start = format!("id: e-1\nretry: 100\ndata:\n\nid: e-2\n{}", event(PROGRESS));
    if cut { [open_stream(&[&start]), vec![Act::Close]].concat() } else { stream(&[&start]) }
}

#[tokio::test]
async fn case_173_178_a_broken_stream_is_resumed_after_its_last_id() {
    for cut in [false, true] {
        let server = Server::start(move |n, _| match n {
            0 => broken(cut),
            1 => stream(&[&format!("id: e-3\n{}", event(LATER))]),
            _ => stream(&[&event(RESULT), &event(LATER)]),
        })
        .await;
        let headers = [("Authorization", "Bearer t"), ("X-A", "1"), ("Mcp-Session-Id", "abc")];
        let (end, notes) = ask(&server.http(), call(REQUEST, &headers)).await;
        let got = the_answer(end);
        assert_eq!((got.code, got.text()), (200, RESULT));
        assert_eq!(bodies(&notes), [PROGRESS, LATER]);
        let seen = server.seen();
        let lines: Vec<_> = seen.iter().map(|r| r.line.as_str()).collect();
        assert_eq!(lines, ["POST /mcp?k=v HTTP/1.1", "GET /mcp?k=v HTTP/1.1", "GET /mcp?k=v HTTP/1.1"]);
        for (request, id) in [(&seen[1], "e-2"), (&seen[2], "e-3")] {
            assert_eq!(request.one("last-event-id"), Some(id));
            assert_eq!(request.one("accept"), Some("text/event-stream"));
            assert_eq!(request.one("authorization"), Some("Bearer t"));
            assert_eq!(request.one("mcp-session-id"), Some("abc"));
            assert_eq!(request.one("x-a"), Some("1"));
            assert_eq!(request.one("content-type"), None);
        }
    }
}

#[tokio::test]
async fn the_id_carries_over_a_resumed_stream_that_has_none() {
    let server = Server::start(|n, _| match n {
        0 => broken(false),
        1 => stream(&[": nothing\n\n"]),
        _ => stream(&[&event(RESULT)]),
    })
    .await;
    assert_eq!(answer_to(&server.http(), call(REQUEST, &[])).await.text(), RESULT);
    assert_eq!(server.seen()[2].one("last-event-id"), Some("e-2"));
}

#[tokio::test]
async fn an_id_that_the_server_cleared_is_not_resumed_after() {
    let clear = format!("id:\n{}", event(LATER));
    let (once, in_between) = (clear.clone(), clear);
    let at_once = Server::start(move |n, _| match n {
        0 => stream(&[&format!("id: e-1\nretry: 100\n{}", event(PROGRESS)), &once]),
        _ => stream(&[&event(RESULT)]),
    })
    .await;
    let resumed = Server::start(move |n, _| match n {
        0 => broken(false),
        1 => stream(&[&in_between]),
        _ => stream(&[&event(RESULT)]),
    })
    .await;
    for (server, requests) in [(at_once, 1), (resumed, 2)] {
        let (end, notes) = ask(&server.http(), call(REQUEST, &[])).await;
        assert_eq!(the_answer(end).failed(), "transport_closed/eof");
        assert_eq!((bodies(&notes), server.seen().len()), (vec![PROGRESS, LATER], requests));
    }
}

#[tokio::test]
async fn a_session_that_the_call_opened_is_named_when_it_is_resumed() {
    let server = Server::start(|n, _| if n == 0 { broken(false) } else { stream(&[&event(RESULT)]) }).await;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    answer_to(&server.http(), call(initialize, &[])).await;
    let seen = server.seen();
    assert_eq!((seen[0].one("mcp-session-id"), seen[1].one("mcp-session-id")), (None, Some("s-1")));
}

#[tokio::test]
async fn case_179_a_server_that_does_not_resume_ends_the_call_with_502() {
    let (json, stream) = (Some("application/json"), Some("text/event-stream"));
    for (line, media) in [
        ("404 Not Found", None),
        ("405 Method Not Allowed", None),
        ("302 Found", None),
        ("500 No", stream),
        ("200 OK", json),
        ("204 No Content", None),
    ] {
        let refusal = move |n, _: &_| if n == 0 { broken(false) } else { response(line, media, b"") };
        let server = Server::start(refusal).await;
        let got = answer_to(&server.http(), call(REQUEST, &[])).await;
        assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/eof"), "{line}");
        assert!(!got.failure.unwrap().received);
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn case_181_five_resumptions_in_vain_are_enough() {
    let server = Server::start(|n, _| match n {
        0 => broken(false),
        n if n % 2 == 1 => stream(&[": nothing\n\n"]),
        _ => vec![Act::Close],
    })
    .await;
    let got = answer_to(&server.http(), call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/eof"));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_stateless_request_is_lost_with_its_stream() {
    let server = Server::start(|_, _| broken(false)).await;
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let got = answer_to(&server.http(), call(request, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "transport_closed/eof"));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn case_182_an_event_that_is_no_message_is_502() {
    for (data, kind) in [
        ("not json", "protocol/malformed_json"),
        ("[]", "protocol/malformed_json"),
        (r#"{"jsonrpc":"2.0","id":2,"result":{}}"#, "protocol/invalid_protocol_response"),
    ] {
        let (got, notes) = served(stream(&[&event(PROGRESS), &event(data), &event(RESULT)])).await;
        assert_eq!((got.code, got.failed().as_str(), notes.len()), (502, kind, 1), "{data}");
    }
}

#[tokio::test]
async fn case_183_requests_of_the_server_are_answered_and_the_call_goes_on() {
    let ping = r#"{"jsonrpc":"2.0","id":"p-1.0","method":"ping"}"#;
    let sampling = r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"sampling/createMessage","params":{}}"#;
    let server = Server::start(move |n, _| match n {
        // The answer waits for what the agent sends meanwhile, as a real server does.
        0 => [
            open_stream(&[&event(ping), &event(sampling)]),
            vec![Act::Wait(500), chunk(&event(RESULT)), Act::Send(b"0\r\n\r\n".to_vec())],
        ]
        .concat(),
        _ => response("202 Accepted", None, b""),
    })
    .await;
    let http = server.http();
    let (end, notes) =
        ask(&http, call(REQUEST, &[("Authorization", "Bearer t"), ("Mcp-Session-Id", "abc")])).await;
    assert_eq!(the_answer(end).text(), RESULT);
    assert!(notes.is_empty());
    let mut replies = server.seen().split_off(1);
    assert_eq!(replies.len(), 2);
    replies.sort_by_key(|r| r.body.len());
    for reply in &replies {
        assert_eq!(reply.line, "POST /mcp?k=v HTTP/1.1");
        assert_eq!(reply.one("authorization"), Some("Bearer t"));
        assert_eq!(reply.one("mcp-session-id"), Some("abc"));
    }
    assert_eq!(replies[0].body, br#"{"jsonrpc":"2.0","id":"p-1.0","result":{}}"#);
    assert!(String::from_utf8_lossy(&replies[1].body).contains("\"id\":9007199254740993,"));
    assert_eq!(replies[1].json()["error"]["code"], -32601);
    assert_eq!(http.server_requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn replies_under_way_are_bounded() {
    let flood: String =
        (0..100).map(|n| event(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#))).collect();
    let server = Server::start(move |n, _| match n {
        0 => stream(&[&flood, &event(RESULT)]),
        _ => vec![Act::Wait(60_000)],
    })
    .await;
    let got = answer_to(&server.http(), call(REQUEST, &[])).await;
    assert_eq!(got.text(), RESULT);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(server.seen().len(), 1 + MAX_REPLIES);
}

#[tokio::test]
async fn case_185_an_endless_line_is_cut_at_the_bound() {
    let server = Server::start(|_, _| {
        let long = "x".repeat(100_000);
        let pieces: Vec<&str> =
            std::iter::once("data: ").chain(std::iter::repeat_n(long.as_str(), 100)).collect();
        open_stream(&pieces)
    })
    .await;
    let http = server.http_with(|_, limits| limits.answer_bytes = 250_000);
    let got = answer_to(&http, call(REQUEST, &[])).await;
    assert_eq!((got.code, got.failed().as_str()), (502, "protocol/response_body_too_large"));
}

#[tokio::test]
async fn case_186_a_silent_stream_ends_at_the_age_limit_with_a_timeout_failure() {
    let acts = [open_stream(&[&event(PROGRESS)]), vec![Act::Wait(60_000)]].concat();
    let server = Server::start(move |_, _| acts.clone()).await;
    let http = server.http_with(|mcp, _| mcp.connection_max_ttl = Duration::from_millis(300));
    let (end, notes) = ask(&http, call(REQUEST, &[])).await;
    let got = the_answer(end);
    assert_eq!((got.code, got.failed().as_str(), notes.len()), (502, "timeout/timeout", 1));
    assert!(got.failure.unwrap().received);
    assert_eq!(got.headers.get("mcp-session-id").unwrap(), "s-1");
}

#[tokio::test]
async fn case_187_what_follows_the_answer_is_not_looked_at() {
    let (got, notes) =
        served(stream(&[&format!("{}{}data: nonsense\n\n", event(RESULT), event(PROGRESS))])).await;
    assert_eq!((got.text(), notes.len()), (RESULT, 0));
}

#[tokio::test]
async fn case_97_a_deadline_in_mid_stream_keeps_what_was_passed_on() {
    let acts = [open_stream(&[&event(PROGRESS)]), vec![Act::Wait(60_000)]].concat();
    let server = Server::start(move |_, _| acts.clone()).await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let (end, notes) = ask(&server.http(), Call { deadline: Some(deadline), ..call(REQUEST, &[]) }).await;
    assert!(matches!(end, End::DeadlinePassed));
    assert_eq!(bodies(&notes), [PROGRESS]);
}
