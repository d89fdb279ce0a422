//! Logs and stopping.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::agent::{SOON, alive};
use crate::cases::{A_WHILE, answer, assert_answered, batch, echo, options, sleep, tool, until, world};
use crate::lab::{Command, Fault, On, Reply};
use crate::world::{Plan, World};

#[tokio::test]
async fn case_062_a_stop_does_not_wait_for_a_backoff() {
    let mut world = world(Plan::new(), options(), |setup, plane| {
        plane.fault(Fault { retry_after: Some("60".into()), ..Fault::status(On::Poll, 503, 9) });
        setup
    })
    .await;
    world.agent.logged(&["poll failed; backing off", "retry_in_ms=60000"]).await;
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(6)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    assert_eq!(world.plane.poll_count(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_306_json_lines_are_objects_with_the_attributes_of_the_process() {
    let world = world(Plan::new().top("poll_grace: 100ms"), options(), |setup, plane| {
        plane.fault(Fault::status(On::Poll, 500, 1));
        setup.args(&["--log.format", "json"])
    })
    .await;
    assert_answered(&world.call(echo("r1")).await);
    let instance = world.plane.polls()[0].seen.header("x-tunnel-client-instance-id").unwrap().to_owned();
    let id = world.plane.tunnel_id.clone();
    world.agent.logged(&["poll failed"]).await;
    let log = world.agent.stop().await;
    assert!(log.len() > 3);
    for line in &log {
        let Ok(Value::Object(line)) = serde_json::from_str(line) else { panic!("no object: {line}") };
        for name in ["time", "level", "msg"] {
            assert!(line[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {line:?}");
        }
        assert_eq!(line["client_instance_id"], instance.as_str(), "{line:?}");
        assert_eq!(line["tunnel_id"], id.as_str(), "{line:?}");
    }
}

#[tokio::test]
async fn case_307_no_log_line_holds_a_secret_or_a_payload() {
    let plan = Plan::new()
        .control("extra_headers: {X-Static: static-sesame}")
        .mcp("extra_headers: {X-Mcp: mcp-sesame}")
        .top("poll_grace: 100ms");
    let world = world(plan, options(), |setup, plane| {
        plane.fault(Fault::status(On::Poll, 401, 1));
        plane.fault(Fault::status(On::Metadata, 403, 1));
        setup
    })
    .await;
    let secret = |id: &str| {
        Command::call(
            id,
            r#""id-sesame""#,
            "tools/call",
            r#"{"name":"echo","arguments":{"text":"payload-sesame"}}"#,
        )
        .header("Authorization", "Bearer connector-sesame")
        .header("Mcp-Session-Id", "session-sesame")
        .header("Cookie", "cookie-sesame")
    };
    // What works, what the server refuses, what the control plane refuses, and what is malformed.
    assert_answered(&world.call(secret("r1")).await);
    world.stub.on_next(Reply::status(500).header("Content-Type", "text/html").data("<p>html-sesame</p>"));
    assert_eq!(world.call(secret("r2")).await.resp_code, 500);
    world.stub.on_next(Reply::reset());
    assert_eq!(world.call(secret("r3")).await.resp_code, 502);
    world.stub.on_next(Reply::json(200, "{\"broken-sesame"));
    assert_eq!(world.call(secret("r4")).await.resp_code, 502);
    world.plane.fault(Fault::status(On::Response, 400, 1));
    world.plane.enqueue(secret("r5"));
    world.agent.logged(&["answer could not be delivered"]).await;
    assert_eq!(world.call(secret("r6").channel("nope")).await.resp_code, 400);
    assert_eq!(world.call(secret("r7").raw("command_type", r#""kind-sesame""#)).await.resp_code, 400);
    assert_eq!(world.call(Command::session_termination("r8", "session-sesame")).await.resp_code, 200);
    world.plane.enqueue(tool("r9", "silent", r#"{"a":"payload-sesame"}"#).response_timeout("100ms"));
    world.agent.logged(&["response deadline", "request_id=r9"]).await;
    let key = world.plane.api_key.clone();
    let log = world.agent.stop().await;
    assert!(log.iter().any(|line| line.contains("level=WARN")), "something was said");
    for line in &log {
        assert!(!line.contains(&key), "the key in {line}");
        assert!(!line.contains("sesame"), "{line}");
        assert!(!line.contains("Bearer"), "{line}");
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_309_a_running_command_is_answered_before_the_end() {
    let plan = Plan::new().mcp("max_concurrent_requests: 1").top("poll_grace: 200ms");
    // One runs and one waits for it.
    let mut world = batch(plan, &[sleep("running", 600).text(), sleep("waiting", 300).text()]).await;
    world.stub.wait_for_requests(1, SOON).await;
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(30)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    // Whatever comes after the process has ended comes too late.
    for id in ["running", "waiting"] {
        let posts = world.plane.responses_for(id);
        assert_eq!(posts.len(), 1, "{id}");
        assert_answered(&posts[0]);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_309_what_cannot_be_finished_in_time_is_answered_with_a_failure() {
    let mut world = Plan::new().top("drain_timeout: 1s").top("poll_grace: 100ms").start().await;
    world.plane.enqueue(tool("stuck", "silent", "{}"));
    world.stub.wait_for_requests(1, SOON).await;
    let began = Instant::now();
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(30)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    assert!(began.elapsed() >= Duration::from_secs(1));
    let posts = world.plane.responses_for("stuck");
    assert_eq!((posts.len(), posts[0].resp_code), (1, 502));
    assert_eq!(posts[0].failure_kind().0, "client_internal");
    assert_eq!(posts[0].rpc()["id"], 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_command_that_comes_within_the_grace_is_answered() {
    let mut world = Plan::new().top("poll_grace: 3s").start().await;
    until("a poll waits", || world.plane.polls().last().is_some_and(|p| p.answered.is_none())).await;
    // The first poll is a short one, whose end would be the end of the grace.
    world.plane.wait_for_poll(2, SOON).await;
    world.agent.signal("TERM");
    world.agent.logged(&["stop"]).await;
    let polls = world.plane.poll_count();
    assert_answered(&world.call(sleep("late", 200)).await);
    let status = world.agent.ended(Duration::from_secs(30)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    assert_eq!(world.plane.poll_count(), polls, "no further poll");
    world.plane.assert_clean();
}

#[tokio::test]
async fn an_idle_agent_stops_within_6_s_and_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let mut world = World::new().await;
        world.plane.wait_for_poll(2, SOON).await;
        let worker = world.agent.worker_pid();
        let began = Instant::now();
        world.agent.signal(signal);
        let status = world.agent.ended(Duration::from_secs(20)).await;
        assert_eq!(status.and_then(|s| s.code()), Some(0));
        let took = began.elapsed();
        // The outstanding poll gets 5 s more, and stopping itself at most one.
        assert!(took < Duration::from_secs(6), "{signal}: {took:?}");
        assert!(!alive(worker));
        assert_eq!(world.plane.poll_count(), 2);
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn case_310_a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let mut world = World::new().await;
        world.plane.enqueue(tool("stuck", "silent", "{}"));
        world.stub.wait_for_requests(1, SOON).await;
        let worker = world.agent.worker_pid();
        world.agent.signal("TERM");
        tokio::time::sleep(A_WHILE).await;
        assert!(world.agent.ended(Duration::ZERO).await.is_none(), "the first signal waits for the call");
        world.agent.signal(second);
        // Far below both the grace of the poll and the time to drain.
        let status = world.agent.ended(Duration::from_secs(3)).await;
        assert!(status.is_some(), "the second signal must not wait");
        until("the worker is gone", || !alive(worker)).await;
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn answers_that_are_still_being_tried_are_delivered_before_the_end() {
    let mut world = Plan::new().top("poll_grace: 100ms").start().await;
    world.plane.fault(Fault { retry_after: Some("1".into()), ..Fault::status(On::Response, 503, 1) });
    world.plane.enqueue(echo("r1"));
    world.plane.wait_for_responses("r1", 1, SOON).await;
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(30)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    let posts = world.plane.responses_for("r1");
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[1].status, 200);
    assert_answered(&answer(&world, "r1").await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_drained_worker_leaves_no_call_open() {
    let plan = Plan::new().mcp("max_concurrent_requests: 20").top("poll_grace: 50ms");
    let all: Vec<String> = (0..20).map(|n| sleep(&format!("r{n}"), 300).text()).collect();
    let mut world = batch(plan, &all).await;
    world.stub.wait_for_requests(20, SOON).await;
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(30)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    for n in 0..20 {
        assert_answered(&answer(&world, &format!("r{n}")).await);
    }
    world.agent.logged(&["worker ended", "exit_code=0", "calls_held=0"]).await;
    world.plane.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_operators_look_for_keep_their_wording() {
    let world = World::new().await;
    for message in [
        "TunnelServiceClient created",
        "control-plane route resolved",
        "mcp channel route resolved",
        "dispatcher channels registered",
        "tls trust summary",
        "tunnel metadata fetched",
        "poller started",
        "🟢 tunnel-client started",
    ] {
        world.agent.logged(&[message]).await;
    }
    let log = world.end().await;
    assert!(log.iter().any(|l| l.contains("poller stopped")));
}
