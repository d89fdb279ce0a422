use super::*;

fn progress(request: &Value, n: u32) -> String {
    let token = &request["params"]["_meta"]["progressToken"];
    format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{token},\"progress\":{n}}}}}\n"
    )
}

#[tokio::test]
async fn progress_reaches_its_caller_in_order_although_callers_share_a_token() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let params = r#"{"_meta":{"progressToken":"t"}}"#;
    let (mut a, mut b) = (rig.call("a", "1", params), rig.call("b", "1", params));
    let (to_a, to_b) = (server.read().await, server.read().await);
    for n in 0..3 {
        server.send(&progress(&to_b, n + 10)).await;
        server.send(&progress(&to_a, n)).await;
    }
    server.result(&to_a, "{}").await;
    server.result(&to_b, "{}").await;
    for n in 0..3 {
        let expected = |n| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"t","progress":{n}}}}}"#
            )
        };
        assert_eq!(a.note().await, expected(n));
        assert_eq!(b.note().await, expected(n + 10));
    }
    assert_eq!((a.answer().await.0, b.answer().await.0), (200, 200));
}

#[tokio::test]
async fn case_201_a_notification_is_not_attributed_while_a_retired_id_is_outstanding() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let old = rig.call_until("old", "1", r#"{"_meta":{"progressToken":1}}"#, Some(Duration::from_millis(50)));
    let retired = server.read().await;
    assert!(matches!(old.end().await, End::DeadlinePassed));
    let mut new = rig.call("new", "2", r#"{"_meta":{"progressToken":1}}"#);
    let request = server.read().await;
    server
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":\"whose?\"}}\n")
        .await;
    server.send(&progress(&retired, 1)).await;
    server.send(&progress(&request, 2)).await;
    server.result(&request, "{}").await;
    assert!(new.note().await.contains("\"progress\":2"));
    assert!(timeout(SOON, new.notes.recv()).await.unwrap().is_none());
    assert_eq!(rig.logged("notification of a stdio server dropped"), 2);
}

#[tokio::test]
async fn a_notification_that_comes_while_nothing_is_in_flight_reaches_no_later_request() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    server.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n").await;
    settle().await;
    let mut call = rig.call("m", "1", "{}");
    server.answer("{}").await;
    assert!(timeout(SOON, call.notes.recv()).await.unwrap().is_none());
    assert_eq!(rig.logged("notification of a stdio server dropped"), 1);
}

#[tokio::test]
async fn a_caller_that_takes_no_notes_delays_neither_others_nor_its_own_answer_for_ever() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let mut deaf = rig.call("deaf", "1", r#"{"_meta":{"progressToken":1}}"#);
    let request = server.read().await;
    for n in 0..1000 {
        server.send(&progress(&request, n)).await;
    }
    let other = rig.call("other", "2", "{}");
    server.answer("{}").await;
    assert_eq!(other.answer().await.0, 200);
    server.result(&request, "{}").await;
    let mut got = 0;
    while timeout(SOON, deaf.notes.recv()).await.unwrap().is_some() {
        got += 1;
    }
    assert!((256..1000).contains(&got), "{got}");
    assert_eq!(deaf.answer().await.0, 200);
}

#[tokio::test]
async fn who_wants_no_notes_still_gets_the_answer() {
    let mut rig = rig(|_| {});
    let mut server = rig.ready().await;
    let mut call = rig.call("m", "1", r#"{"_meta":{"progressToken":1}}"#);
    call.notes.close();
    let request = server.read().await;
    server.send(&progress(&request, 1)).await;
    server.result(&request, "{}").await;
    assert_eq!(call.answer().await.0, 200);
}

#[tokio::test]
async fn a_cancellation_names_the_request_as_the_server_knows_it() {
    let mut rig = rig(|s| s.serialize = true);
    let mut server = rig.ready().await;
    let call = rig.call("slow", "\"x\"", "{}");
    let request = server.read().await;
    assert_eq!(rig.notify("notifications/cancelled", r#"{"requestId":"x"}"#).await, 200);
    assert_eq!(server.read().await["params"]["requestId"], request["id"]);
    // One that names nothing in flight might hit somebody else's request.
    assert_eq!(
        rig.notify("notifications/cancelled", &format!("{{\"requestId\":{}}}", request["id"])).await,
        200
    );
    assert_eq!(server.maybe_read().await, None);
    call.end.abort();
}
