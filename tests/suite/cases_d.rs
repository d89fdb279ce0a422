//! Response deadlines.

use std::time::{Duration, Instant};

use crate::agent::SOON;
use crate::cases::{A_WHILE, answer, assert_answered, batch, echo, options, sleep, tool, until, world};
use crate::lab::{Fault, On, Reply};
use crate::world::{Plan, World};

const DROPPED: &str = "dropping command whose response deadline has passed";
const REACHED: &str = "command response deadline reached; dropping without posting a response";

#[tokio::test]
async fn case_090_an_answer_in_time_is_posted() {
    let world = World::new().await;
    assert_answered(&world.call(sleep("r1", 300).response_timeout("30s")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_091_a_deadline_of_zero_has_passed() {
    let all = [echo("zero").response_timeout("0s").text(), echo("after").text()];
    let world = batch(Plan::new(), &all).await;
    assert_answered(&answer(&world, "after").await);
    world.agent.logged(&[DROPPED, "request_id=zero"]).await;
    world.nothing_posted("zero", A_WHILE).await;
    assert_eq!(world.stub.request_count(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_093_what_is_no_duration_is_ignored() {
    let world = World::new().await;
    let odd = [
        r#""9223372036854775808ns""#,
        r#""99999999999999999999h""#,
        r#""-1s""#,
        r#""0.1ms""#,
        r#""1 ms""#,
        r#""1m1s""#,
        r#""1d""#,
        r#""1MS""#,
        r#""""#,
        "0",
        "null",
        r#"{"s":1}"#,
    ];
    for (n, text) in odd.iter().enumerate() {
        assert_answered(&world.call(echo(&format!("r{n}")).raw("response_timeout", text)).await);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_094_every_unit_is_read() {
    let world = World::new().await;
    for (n, text) in ["1h", "0010s", "10m", "60000ms", "60000000us", "60000000000ns"].iter().enumerate() {
        assert_answered(&world.call(echo(&format!("r{n}")).response_timeout(text)).await);
    }
    for (id, text) in [("us", "100us"), ("ms", "5ms"), ("ns", "1ns")] {
        world.plane.enqueue(sleep(id, 1000).response_timeout(text));
        world.agent.logged(&["response deadline", &format!("request_id={id}")]).await;
    }
    tokio::time::sleep(A_WHILE).await;
    assert!(["us", "ms", "ns"].iter().all(|id| world.plane.responses_for(id).is_empty()));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_deadline_in_mid_call_posts_nothing_and_harms_no_later_call() {
    let world = World::new().await;
    let began = Instant::now();
    world.plane.enqueue(tool("late", "silent", "{}").response_timeout("400ms"));
    world.agent.logged(&[REACHED, "request_id=late"]).await;
    assert!(began.elapsed() >= Duration::from_millis(400));
    assert_answered(&world.call(echo("after")).await);
    world.nothing_posted("late", A_WHILE).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_095_a_command_that_waits_too_long_is_never_forwarded() {
    let plan = Plan::new().mcp("max_concurrent_requests: 1");
    let all = [sleep("first", 900).text(), echo("waits").response_timeout("200ms").text()];
    let world = batch(plan, &all).await;
    world.agent.logged(&[DROPPED, "request_id=waits"]).await;
    assert_answered(&answer(&world, "first").await);
    assert_answered(&world.call(echo("after")).await);
    assert_eq!(world.stub.request_count(), 2);
    assert!(world.plane.responses_for("waits").is_empty());
    world.plane.assert_clean();
}

#[tokio::test]
async fn deadlines_count_from_the_head_of_the_poll_not_from_its_end() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.enqueue(echo("short").response_timeout("600ms"));
        plane.enqueue(echo("long").response_timeout("60s"));
        // Some 500 bytes, 100 at a time: the head is there at once, the end more than a second later.
        plane.fault(Fault {
            drip: Some(crate::lab::Drip { bytes: 100, every_ms: 300 }),
            ..Fault::on(On::Poll)
        });
        setup
    })
    .await;
    assert_answered(&answer(&world, "long").await);
    world.agent.logged(&[DROPPED, "request_id=short"]).await;
    world.nothing_posted("short", A_WHILE).await;
    assert_eq!(world.stub.request_count(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn the_time_that_the_head_of_a_poll_takes_does_not_count() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.enqueue(echo("r1").response_timeout("900ms"));
        plane.fault(Fault { delay_ms: 1200, ..Fault::on(On::Poll) });
        setup
    })
    .await;
    assert_answered(&answer(&world, "r1").await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_097_a_deadline_between_notifications_keeps_what_was_posted() {
    let world = World::new().await;
    let note = |n| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{n}}}}}"#
        )
    };
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let reply = Reply::sse().event(&note(1)).wait(Duration::from_secs(4)).event(&note(2)).event(answer);
    world.stub.on_next(reply);
    world.plane.enqueue(echo("r1").response_timeout("1500ms"));
    let posted = world.plane.wait_for_responses("r1", 1, SOON).await;
    assert_eq!(posted[0].resp_type, "jsonrpc_notify");
    world.agent.logged(&[REACHED, "request_id=r1"]).await;
    world.nothing_of_kind("r1", "jsonrpc_response").await;
    assert_eq!(world.plane.responses_for("r1").len(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_098_a_deadline_while_an_attempt_is_waited_for_ends_the_trying() {
    let world = World::new().await;
    world.plane.fault(Fault { retry_after: Some("2".into()), ..Fault::status(On::Response, 503, 9) });
    world.plane.enqueue(echo("r1").response_timeout("1s"));
    world.agent.logged(&[REACHED, "request_id=r1"]).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(world.plane.responses_for("r1").len(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_terminal_answer_is_tried_until_its_deadline() {
    let world = World::new().await;
    world.plane.fault(Fault::status(On::Response, 503, 1000));
    let began = Instant::now();
    world.plane.enqueue(echo("r1").response_timeout("3s"));
    world.agent.logged(&[REACHED, "request_id=r1"]).await;
    let posts = world.plane.responses_for("r1");
    // 200, 400, 800, 1600 ms at the most between attempts: at least four fit into three seconds.
    assert!(posts.len() >= 3, "{} attempts", posts.len());
    assert!(
        posts.iter().all(|p| p.seen.arrived.saturating_duration_since(began) < Duration::from_millis(3500))
    );
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_099_created_at_says_nothing_about_the_deadline() {
    let world = World::new().await;
    for (n, at) in ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"].iter().enumerate() {
        let command = echo(&format!("r{n}")).response_timeout("30s").raw("created_at", &format!("{at:?}"));
        assert_answered(&world.call(command).await);
    }
    let late = sleep("late", 2000).response_timeout("200ms").raw("created_at", r#""2999-01-01T00:00:00Z""#);
    world.plane.enqueue(late);
    world.agent.logged(&[REACHED, "request_id=late"]).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_101_stopping_is_not_reported_as_a_deadline() {
    let mut world = Plan::new().top("drain_timeout: 1s").top("poll_grace: 100ms").start().await;
    world.plane.enqueue(tool("stuck", "silent", "{}").response_timeout("30s"));
    world.plane.enqueue(sleep("slow", 500).response_timeout("30s"));
    world.stub.wait_for_requests(2, SOON).await;
    world.agent.signal("TERM");
    let stuck = answer(&world, "stuck").await;
    assert_eq!((stuck.resp_code, stuck.failure_kind().0.as_str()), (502, "client_internal"));
    assert_answered(&answer(&world, "slow").await);
    assert_eq!(world.agent.ended(SOON).await.and_then(|s| s.code()), Some(0));
    let log = world.agent.log();
    assert!(!log.iter().any(|l| l.contains("deadline")), "{}", log.join("\n"));
    assert!(log.iter().any(|l| l.contains("unfinished")), "the log counts what was given up");
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_wait_for_a_slow_poll_body_holds_up_no_running_call() {
    let world = World::new().await;
    world.plane.enqueue(sleep("running", 300));
    world.stub.wait_for_requests(1, SOON).await;
    until("the next poll waits", || world.plane.polls().last().is_some_and(|p| p.answered.is_none())).await;
    assert_answered(&answer(&world, "running").await);
    world.plane.assert_clean();
}

impl World {
    /// Asserts that no response of this kind comes for some time.
    async fn nothing_of_kind(&self, request_id: &str, kind: &str) {
        tokio::time::sleep(A_WHILE).await;
        assert!(self.plane.responses_for(request_id).iter().all(|r| r.resp_type != kind));
    }
}
