use super::*;

#[tokio::test]
async fn case_077_to_079_the_callers_id_comes_back_as_written() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    for id in [r#""abc""#, r#""""#, "0", "-5", "9007199254740993", "1.5", "1e2", r#""\u0061""#] {
        let call = rig.call("tools/list", id, "{}");
        server.answer(r#"{"n": 1e400}"#).await;
        assert_eq!(
            call.answer().await,
            (200, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"n": 1e400}}}}"#))
        );
    }
}

#[tokio::test]
async fn case_082_params_reach_the_server_as_they_came() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call(
        "tools/call",
        "1",
        r#"{ "a":1.0,"b":1e400,
"c":12345678901234567890 }"#,
    );
    let line = server.read_text().await;
    assert!(line.contains(r#""params":{ "a":1.0,"b":1e400, "c":12345678901234567890 }"#), "{line}");
    call.end.abort();
}

#[tokio::test]
async fn callers_with_the_same_id_are_both_answered() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let first = rig.call("a", "7", "{}");
    let a = server.read().await;
    let second = rig.call("b", "7", "{}");
    let b = server.read().await;
    assert_ne!(a["id"], b["id"]);
    server.result(&b, "\"b\"").await;
    server.result(&a, "\"a\"").await;
    assert!(first.answer().await.1.contains("\"result\":\"a\""));
    assert!(second.answer().await.1.contains("\"result\":\"b\""));
}

#[tokio::test]
async fn case_198_by_default_a_slow_call_does_not_block_the_next() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let slow = rig.call("slow", "1", "{}");
    let slow_request = server.read().await;
    let quick = rig.call("quick", "2", "{}");
    server.answer("{}").await;
    assert_eq!(quick.answer().await.0, 200);
    server.result(&slow_request, "{}").await;
    assert_eq!(slow.answer().await.0, 200);
}

#[tokio::test]
async fn case_198_serialized_the_second_is_written_after_the_first_is_answered() {
    let mut rig = rig(|s| s.serialize = true);
    let mut server = rig.ready().await;
    let first = rig.call("first", "1", "{}");
    let request = server.read().await;
    let second = rig.call("second", "2", "{}");
    assert_eq!(server.maybe_read().await, None);
    server.result(&request, "{}").await;
    assert_eq!(first.answer().await.0, 200);
    assert_eq!(server.answer("{}").await["method"], "second");
    assert_eq!(second.answer().await.0, 200);
}

#[tokio::test]
async fn case_199_serialized_a_waiter_past_its_deadline_is_never_written() {
    let mut rig = rig(|s| s.serialize = true);
    let mut server = rig.ready().await;
    let first = rig.call("first", "1", "{}");
    let request = server.read().await;
    let late = rig.call_until("late", "2", "{}", Some(Duration::from_millis(50)));
    assert!(matches!(late.end().await, End::DeadlinePassed));
    server.result(&request, "{}").await;
    assert_eq!(first.answer().await.0, 200);
    let third = rig.call("third", "3", "{}");
    assert_eq!(server.answer("{}").await["method"], "third");
    assert_eq!(third.answer().await.0, 200);
}

#[tokio::test]
async fn case_202_an_id_that_is_used_again_after_its_deadline_is_answered() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let first = rig.call_until("first", "1", "{}", Some(Duration::from_millis(50)));
    let retired = server.read().await;
    assert!(matches!(first.end().await, End::DeadlinePassed));
    let second = rig.call("second", "1", "{}");
    let request = server.read().await;
    server.result(&retired, "\"late\"").await;
    server.result(&request, "\"own\"").await;
    assert_eq!(second.answer().await.1, r#"{"jsonrpc":"2.0","id":1,"result":"own"}"#);
    assert_eq!(rig.logged("late answer of a stdio server dropped"), 1);
}

#[tokio::test]
async fn case_205_a_banner_and_other_noise_is_skipped_and_counted() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call("m", "1", "{}");
    let request = server.read().await;
    server.send("Server SECRET listening on stdio\n42\n[{\"jsonrpc\":\"2.0\"}]\n{\"log\":1}\n").await;
    server.stdout.as_mut().unwrap().write_all(b"\xff\n").await.unwrap();
    server.send("{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":{}}\n").await;
    server.result(&request, "{}").await;
    assert_eq!(call.answer().await.0, 200);
    assert_eq!(rig.logged("stdout of a stdio server skipped"), 5);
    assert_eq!(rig.logged("to no request of ours"), 2);
    assert_eq!(rig.logged("total=5"), 1);
    assert_eq!(rig.logged("SECRET"), 0);
}

#[tokio::test]
async fn case_206_and_207_blank_lines_crlf_and_pauses_are_tolerated() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call("m", "1", "{}");
    let id = server.read().await["id"].to_string();
    for part in ["\r\n\n", "{\"jsonrpc\":\"2.0\",", "\"id\":", &id, ",\"result\":{}}\r", "\n"] {
        server.send(part).await;
        settle().await;
    }
    assert_eq!(call.answer().await, (200, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into()));
    assert_eq!(rig.logged("skipped"), 0);
}

#[tokio::test]
async fn case_210_a_child_that_never_reads_does_not_outlast_the_deadline() {
    let mut rig = rig(|s| s.max_line = 16 << 20);
    let mut server = rig.ready().await;
    let huge = format!("\"{}\"", "x".repeat(10 << 20));
    let begun = Instant::now();
    let big = rig.call_until("big", "1", &huge, Some(Duration::from_millis(100)));
    settle().await;
    let queued = rig.call_until("never", "2", "{}", Some(Duration::from_millis(100)));
    assert!(matches!(big.end().await, End::DeadlinePassed));
    assert!(matches!(queued.end().await, End::DeadlinePassed));
    assert!(begun.elapsed() < Duration::from_secs(2));
    // The line that had begun is finished before another; the one that had not is not written.
    let next = rig.call("next", "3", "{}");
    assert_eq!(server.read().await["method"], "big");
    assert_eq!(server.answer("{}").await["method"], "next");
    assert_eq!(next.answer().await.0, 200);
}

#[tokio::test]
async fn a_child_that_leaves_a_line_half_read_is_given_up() {
    let mut rig = rig(|_| {});
    let server = rig.ready().await;
    let huge = format!("\"{}\"", "x".repeat(500_000));
    let big = rig.call_until("big", "1", &huge, Some(Duration::from_millis(50)));
    let waiting = rig.call("waiting", "2", "{}");
    assert!(matches!(big.end().await, End::DeadlinePassed));
    assert_eq!(waiting.failure("2").await, ("transport_closed".into(), "connection_closed".into()));
    assert_eq!(rig.event().await, StdioEvent::Lost { index: 3, generation: server.generation });
}

#[tokio::test]
async fn case_211_a_server_request_is_answered_and_the_call_goes_on() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let mut call = rig.call("m", "1", "{}");
    let request = server.read().await;
    server.send("{\"jsonrpc\":\"2.0\",\"id\":\"p\\u0031\",\"method\":\"ping\"}\n").await;
    assert_eq!(server.read_text().await, "{\"jsonrpc\":\"2.0\",\"id\":\"p\\u0031\",\"result\":{}}\n");
    server.send("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{}}\n").await;
    assert_eq!(server.read().await["error"]["code"], -32601);
    server.result(&request, "{}").await;
    assert_eq!(timeout(SOON, call.notes.recv()).await.unwrap().map(|n| n.body), None);
    assert_eq!(call.answer().await.0, 200);
}

#[tokio::test]
async fn a_flood_of_server_requests_holds_bounded_memory() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let long = "p".repeat(1000);
    for _ in 0..400 {
        server.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{long}\",\"method\":\"ping\"}}\n")).await;
    }
    settle().await;
    assert!(rig.logged("answer to a request of a stdio server dropped") > 0);
    assert!(rig.stdio.0.lock().all().all(|child| child.lines_waiting() <= 64));
}

#[tokio::test]
async fn case_213_an_overlong_call_fails_and_the_child_survives() {
    let mut rig = rig(|s| s.max_age = Duration::from_millis(80));
    let mut server = rig.ready().await;
    let slow = rig.call("slow", "\"s\"", "{}");
    server.read().await;
    assert_eq!(slow.failure("\"s\"").await, ("timeout".into(), "timeout".into()));
    let next = rig.call("next", "2", "{}");
    server.answer("{}").await;
    assert_eq!(next.answer().await.0, 200);
    assert!(rig.events.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_beyond_the_bound_fails_its_own_call_only() {
    let mut rig = rig(|s| s.max_line = 10_000);
    let mut server = rig.ready().await;
    let (big, small) = (rig.call("big", "1", "{}"), rig.call("small", "2", "{}"));
    let (first, second) = (server.read().await, server.read().await);
    server.result(&first, &format!("\"{}\"", "x".repeat(50_000))).await;
    server.result(&second, "{}").await;
    assert_eq!(big.failure("1").await, ("protocol".into(), "response_body_too_large".into()));
    assert_eq!(small.answer().await.0, 200);
}

#[tokio::test]
async fn a_response_that_is_none_fails_its_call_at_once() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call("m", "1", "{}");
    let id = server.read().await["id"].to_string();
    server.send(&format!("{{\"id\":{id},\"result\":{{}}}}\n")).await;
    assert_eq!(call.failure("1").await, ("protocol".into(), "invalid_protocol_response".into()));
}

#[tokio::test]
async fn case_217_an_error_of_the_server_is_an_answer_like_any_other() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call("m", "1", "{}");
    let id = server.read().await["id"].to_string();
    server
        .send(&format!(
            "{{\"id\":{id},\"error\":{{\"code\":-32003,\"message\":\"<&>\"}},\"jsonrpc\":\"2.0\",\"x\":1}}\n"
        ))
        .await;
    let expected = r#"{"id":1,"error":{"code":-32003,"message":"<&>"},"jsonrpc":"2.0","x":1}"#;
    assert_eq!(call.answer().await, (200, expected.into()));
}
