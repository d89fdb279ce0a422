use super::*;

#[tokio::test]
async fn a_child_that_ends_fails_its_calls_after_delivering_its_last_words() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let (answered, unanswered) = (rig.call("a", "1", "{}"), rig.call("b", "9007199254740993", "{}"));
    let request = server.read().await;
    server.read().await;
    let last = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{}}}}", request["id"]);
    server.send(&last).await;
    let generation = server.generation;
    drop(server);
    assert_eq!(answered.answer().await.0, 200);
    let failure = unanswered.failure("9007199254740993").await;
    assert_eq!(failure, ("transport_closed".into(), "eof".into()));
    assert_eq!(rig.event().await, StdioEvent::Lost { index: 3, generation });
}

#[tokio::test]
async fn case_209_a_child_that_closes_its_stdin_only_is_a_closed_pipe() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    server.stdin = None;
    assert_eq!(
        rig.call("m", "1", "{}").failure("1").await,
        ("transport_closed".into(), "closed_pipe".into())
    );
    assert_eq!(rig.event().await, StdioEvent::Lost { index: 3, generation: server.generation });
}

#[tokio::test]
async fn case_209_a_child_that_closes_its_stdin_fails_also_what_it_was_sent_before() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let waiting = rig.call("m", "1", "{}");
    server.read().await;
    server.stdin = None;
    assert_eq!(waiting.failure("1").await, ("transport_closed".into(), "closed_pipe".into()));
}

#[tokio::test]
async fn a_notification_to_a_child_that_is_gone_is_acknowledged_with_502() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    server.stdin = None;
    assert_eq!(rig.notify("notifications/x", "{}").await, 502);
    assert_eq!(rig.notify("notifications/x", "{}").await, 502);
}

#[tokio::test]
async fn a_notification_that_cannot_be_written_in_time_is_dropped() {
    let mut rig = rig(|s| s.max_line = 1 << 20);
    let mut server = rig.ready().await;
    let huge = format!("\"{}\"", "x".repeat(500_000));
    let big = rig.call("big", "1", &huge);
    settle().await;
    let end = rig.notify_until("notifications/late", "{}", Some(Duration::from_millis(50))).await;
    assert!(matches!(end, End::DeadlinePassed));
    server.answer("{}").await;
    assert_eq!(big.answer().await.0, 200);
    assert_eq!(server.maybe_read().await, None);
}

#[tokio::test]
async fn a_call_without_a_child_asks_once_and_waits_for_it() {
    let mut rig = rig(|_| {});
    let (one, two) = (rig.call("ping", "1", "{}"), rig.call("ping", "2", "{}"));
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Session, seen: 0 });
    settle().await;
    assert!(rig.events.try_recv().is_err());
    let mut server = rig.attach(None);
    server.answer("{}").await;
    server.answer("{}").await;
    assert_eq!((one.answer().await.0, two.answer().await.0), (200, 200));
}

#[tokio::test]
async fn a_child_without_an_era_that_comes_for_two_is_taken_by_one_and_the_other_asks_again() {
    let mut rig = rig(|_| {});
    let (old, modern) = (rig.call("ping", "1", "{}"), rig.call("server/discover", "2", "{}"));
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Session, seen: 0 });
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Stateless, seen: 0 });
    let mut first = rig.attach(None);
    first.answer("{}").await;
    assert_eq!(old.answer().await.0, 200);
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Stateless, seen: 1 });
    rig.attach(Some(Era::Stateless)).answer("{}").await;
    assert_eq!(modern.answer().await.0, 200);
}

#[tokio::test]
async fn waiting_for_a_child_is_bounded_by_time_and_deadline() {
    let mut rig = rig(|_| {});
    let hasty = rig.call_until("ping", "1", "{}", Some(Duration::from_millis(50)));
    let patient = rig.call("ping", "2", "{}");
    assert!(matches!(hasty.end().await, End::DeadlinePassed));
    assert_eq!(patient.failure("2").await, ("transport_closed".into(), "connection_closed".into()));
    assert!(matches!(rig.event().await, StdioEvent::Want { .. }));
    let again = rig.call("ping", "3", "{}");
    assert!(matches!(rig.event().await, StdioEvent::Want { .. }));
    drop(again);
}

#[tokio::test]
async fn a_child_that_will_not_come_back_soon_is_not_waited_for() {
    let mut rig = rig(|s| s.timing.wait = Duration::from_secs(60));
    let server = rig.ready().await;
    let waiting = rig.call("m", "1", "{}");
    settle().await;
    rig.stdio.gone(server.generation, Duration::from_secs(60));
    // Its pipes may stay open in a grandchild: that is not waited for.
    assert_eq!(waiting.failure("1").await, ("transport_closed".into(), "eof".into()));
    let begun = Instant::now();
    let refused = rig.call("ping", "2", "{}").failure("2").await;
    assert_eq!(refused, ("transport_closed".into(), "connection_closed".into()));
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert!(rig.events.try_recv().is_err());
    // The other era is not affected, and a short pause is waited for.
    let discover = rig.call("server/discover", "3", "{}");
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Stateless, seen: 1 });
    discover.end.abort();
    rig.stdio.gone(server.generation, Duration::from_millis(20));
    let ping = rig.call("ping", "4", "{}");
    assert_eq!(rig.event().await, StdioEvent::Want { index: 3, era: Era::Session, seen: 1 });
    rig.attach(None).answer("{}").await;
    assert_eq!(ping.answer().await.0, 200);
}

#[tokio::test]
async fn late_news_of_an_old_child_does_not_touch_the_new_one() {
    let mut rig = rig(|_| {});
    let old = rig.ready().await;
    drop(old);
    assert!(matches!(rig.event().await, StdioEvent::Lost { generation: 1, .. }));
    let mut new = rig.attach(Some(Era::Session));
    rig.stdio.gone(1, Duration::from_secs(60));
    let ping = rig.call("ping", "1", "{}");
    new.answer("{}").await;
    assert_eq!(ping.answer().await.0, 200);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_nothing_in_flight() {
    let mut rig = rig(|s| s.serialize = true);
    let mut server = rig.ready().await;
    let call = rig.call("gone", "1", "{}");
    let request = server.read().await;
    call.end.abort();
    let next = rig.call("next", "2", "{}");
    server.result(&request, "{}").await;
    assert_eq!(server.answer("{}").await["method"], "next");
    assert_eq!(next.answer().await.0, 200);
}

#[tokio::test]
async fn case_222_a_failure_says_nothing_that_a_server_or_caller_wrote() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let call = rig.call("m", "1", r#"{"url":"https://user:SECRET@host"}"#);
    server.read().await;
    server.send("fatal: cannot reach https://user:SECRET@host\n").await;
    drop(server);
    assert!(!call.answer().await.1.contains("SECRET"));
    assert_eq!(rig.logged("SECRET"), 0);
}

#[tokio::test]
async fn what_are_no_pipes_are_refused() {
    let mut rig = rig(|_| {});
    let null =
        || OwnedFd::from(std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap());
    rig.stdio.attach(ChildPipes { stdin: null(), stdout: null(), era: None, generation: 8, carried: None });
    assert_eq!(rig.event().await, StdioEvent::Lost { index: 3, generation: 8 });
}

#[tokio::test]
async fn case_218_and_219_every_failure_echoes_the_id_and_names_the_status() {
    let rig = rig(|s| s.timing.wait = Duration::from_millis(10));
    for id in ["\"\\u0061\"", "1.50", "9007199254740993", "\"\""] {
        let (code, body) = rig.call("ping", id, "{}").answer().await;
        let expected = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32603,\"message\":\"Bad Gateway\",\"data\":\
             {{\"tunnel_failure\":{{\"version\":1,\"source\":\"transport_closed\",\
             \"transport_error_kind\":\"connection_closed\",\"upstream_response_received\":false}}}}}}}}"
        );
        assert_eq!((code, body), (502, expected));
    }
}

#[tokio::test]
async fn a_thousand_callers_share_one_child() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let calls: Vec<Calling> = (0..1000).map(|n| rig.call("m", &n.to_string(), "{}")).collect();
    let mut requests = Vec::new();
    for _ in 0..1000 {
        requests.push(server.read().await);
    }
    for request in requests.iter().rev() {
        server.result(request, "{}").await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.answer().await.1, format!("{{\"jsonrpc\":\"2.0\",\"id\":{n},\"result\":{{}}}}"));
    }
    assert_eq!(rig.logged("stdio server lost"), 0);
}
