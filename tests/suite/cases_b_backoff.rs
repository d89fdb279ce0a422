//! Polls that fail: how long the agent waits, what it reads of the answer, and what it says.

use std::time::{Duration, SystemTime};

use crate::cases::{A_WHILE, assert_answered, echo, number, options, refused, world};
use crate::lab::{Fault, On, Part, Reply};
use crate::world::{Plan, World};

/// A world whose first polls get these replies.
async fn replies(plan: Plan, replies: Vec<Reply>) -> World {
    world(plan, options(), |setup, plane| {
        replies.into_iter().for_each(|reply| plane.serve_poll_raw(reply));
        setup
    })
    .await
}

/// A world whose first poll gets 503 with this `Retry-After`.
async fn retry_after(value: &str) -> World {
    let reply =
        Reply::json(503, r#"{"error":{"message":"later","code":"busy"}}"#).header("Retry-After", value);
    replies(Plan::new(), vec![reply]).await
}

/// What the agent says about the first failed poll: the wait it chose, in milliseconds.
async fn chosen_wait(world: &World) -> u64 {
    number(&world.agent.logged(&["poll failed; backing off"]).await, "retry_in_ms")
}

/// The time between the answer to the first poll and the second poll.
async fn gap(world: &World) -> Duration {
    world.plane.wait_for_poll(2, crate::agent::SOON).await;
    let polls = world.plane.polls();
    polls[1].seen.arrived.saturating_duration_since(polls[0].answered.unwrap().1)
}

#[tokio::test]
async fn case_042_another_2xx_is_no_success() {
    let empty = |status| Reply::json(status, r#"{"commands":[]}"#);
    let world = replies(Plan::new(), vec![empty(202), empty(206), empty(201)]).await;
    for status in ["status_code=202", "status_code=206", "status_code=201"] {
        world.agent.logged(&["poll failed; backing off", status]).await;
    }
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_043_waits_have_full_jitter_and_the_recovery_is_said_once() {
    let failure = || Reply::json(500, "{}");
    let world = replies(Plan::new(), (0..4).map(|_| failure()).collect()).await;
    assert_answered(&world.call(echo("after")).await);
    let lines = world.agent.log();
    let waits: Vec<u64> =
        lines.iter().filter(|l| l.contains("backing off")).map(|l| number(l, "retry_in_ms")).collect();
    assert_eq!(waits.len(), 4);
    for (wait, bound) in waits.iter().zip([200, 400, 800, 1600]) {
        assert!(*wait <= bound, "{waits:?}");
    }
    assert_ne!(waits, [200, 400, 800, 1600], "jitter is missing");
    let polls = world.plane.polls();
    for (pair, wait) in polls.windows(2).zip(&waits) {
        let gap = pair[1].seen.arrived.saturating_duration_since(pair[0].answered.unwrap().1);
        assert!(gap.as_millis() + 1 >= u128::from(*wait), "{gap:?} instead of {wait} ms");
    }
    assert_eq!(world.agent.count("poller recovered; polling operational"), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_045_retry_after_is_waited_for() {
    let world = retry_after("2").await;
    assert!(gap(&world).await >= Duration::from_secs(2));
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_046_047_a_long_retry_after_is_capped_at_60_s() {
    for value in ["3600", "61", "99999999999999999999"] {
        let world = retry_after(value).await;
        assert_eq!(chosen_wait(&world).await, 60_000, "for {value}");
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(world.plane.poll_count(), 1);
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn case_049_zero_and_nonsense_leave_the_ordinary_wait() {
    for value in ["0", "-5", "soon", "1.5", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let world = retry_after(value).await;
        assert!(chosen_wait(&world).await <= 200, "for {value}");
        assert_answered(&world.call(echo("after")).await);
        world.plane.assert_clean();
    }
}

#[tokio::test]
async fn case_050_a_date_is_waited_for() {
    // Whole seconds: 3 s ahead is more than 2 s from now.
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    let world = retry_after(&date).await;
    let wait = chosen_wait(&world).await;
    assert!((1..=3000).contains(&wait), "{wait}");
    let gap = gap(&world).await;
    assert!(gap.as_millis() + 1 >= u128::from(wait), "{gap:?} instead of {wait} ms");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_053_a_refusal_names_its_code_and_what_to_do() {
    let body = r#"{"error":{"message":"not yours","type":"permission_error","code":"tunnel_use_forbidden","param":null}}"#;
    let world = replies(Plan::new(), vec![Reply::json(403, body), Reply::json(401, body)]).await;
    for status in ["status_code=403", "status_code=401"] {
        let line = world.agent.logged(&["poll failed; backing off", status]).await;
        for part in [
            "level=WARN",
            "error_code=tunnel_use_forbidden",
            "not yours",
            "mitigation=",
            "tunnel_request_id=lab_",
        ] {
            assert!(line.contains(part), "no {part} in {line}");
        }
    }
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_054_no_status_ends_the_agent() {
    let all = [400, 401, 404, 410].map(|status| Reply::json(status, "{}")).to_vec();
    let mut world = replies(Plan::new(), all).await;
    assert_answered(&world.call(echo("after")).await);
    assert!(world.agent.ended(Duration::ZERO).await.is_none());
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_055_an_endless_error_body_is_not_read() {
    let endless = Reply::status(500)
        .header("Content-Type", "text/plain")
        .then(Part::Repeat(vec![b'x'; 16 << 10].into(), usize::MAX));
    let world = replies(Plan::new(), vec![endless]).await;
    let line = world.agent.logged(&["poll failed; backing off", "status_code=500"]).await;
    // A bound on bytes, not only on time: the agent waits two seconds for a body that is slow.
    let took = world.plane.polls()[0].seen.arrived.elapsed();
    assert!(took < Duration::from_millis(1900), "{took:?}");
    assert!(line.len() < 8192, "{} bytes", line.len());
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_055_an_error_body_that_never_ends_is_not_waited_for() {
    let stuck = Reply::status(503).header("Content-Type", "text/plain").data("half a").then(Part::Hang);
    let world = replies(Plan::new(), vec![stuck]).await;
    world.agent.logged(&["poll failed; backing off", "status_code=503", "half a"]).await;
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_057_058_any_shape_of_detail_and_any_code_are_shown() {
    let bodies =
        [r#"{"detail":[{"a":1}]}"#, r#"{"error":{"message":"m","code":"never_heard_of"}}"#, "plain words"];
    let world = replies(Plan::new(), bodies.map(|b| Reply::json(400, b)).to_vec()).await;
    world.agent.logged(&["poll failed", r#"[{\"a\":1}]"#]).await;
    let unknown = world.agent.logged(&["poll failed", "error_code=never_heard_of"]).await;
    assert!(!unknown.contains("mitigation"), "{unknown}");
    world.agent.logged(&["poll failed", "plain words"]).await;
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_059_a_poll_that_hangs_ends_at_its_deadline() {
    let plan = Plan::new().control("poll_timeout: 200ms").control("poll_deadline_guardrail: 300ms");
    let world = replies(plan, vec![Reply::hang()]).await;
    let line = world.agent.logged(&["poll timed out; backing off"]).await;
    assert_eq!((number(&line, "poll_timeout_ms"), number(&line, "poll_deadline_ms")), (200, 500));
    world.plane.wait_for_poll(2, crate::agent::SOON).await;
    let polls = world.plane.polls();
    let apart = polls[1].seen.arrived - polls[0].seen.arrived;
    // The first deadline counts from before the connection was made.
    assert!(apart >= Duration::from_millis(200), "{apart:?}");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_061_a_body_that_drips_for_ever_is_bounded_by_the_deadline() {
    let plan = Plan::new().control("poll_timeout: 200ms").control("poll_deadline_guardrail: 300ms");
    let drip = |n| {
        let drop = Reply::status(200).header("Content-Type", "application/json").data("{\"commands\":[");
        (0..n).fold(drop, |reply, _| reply.wait(Duration::from_millis(50)).data(" "))
    };
    let world = replies(plan, vec![drip(2000)]).await;
    world.agent.logged(&["poll timed out; backing off"]).await;
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_061_a_head_that_drips_for_ever_is_bounded_by_the_deadline() {
    let slow = crate::lab::RawServer::start(|_| {
        let mut parts = vec![Part::Data("HTTP/1.1 200 OK\r\n".into())];
        for n in 0..2000 {
            parts.push(Part::Data(format!("X-{n}: 1\r\n").into()));
            parts.push(Part::Wait(Duration::from_millis(50)));
        }
        parts
    })
    .await;
    let plane = crate::lab::ControlPlane::start(options()).await;
    let stub = crate::lab::Stub::start(crate::lab::StubOptions::default()).await;
    let plan = Plan::new().control("poll_timeout: 200ms").control("poll_deadline_guardrail: 300ms");
    let url = format!("http://{}/", slow.addr);
    let agent = plan.setup(&plane, &stub).args(&["--control-plane.base-url", &url]).start();
    agent.logged(&["poll timed out; backing off"]).await;
    let polls = || slow.requests().iter().filter(|r| r.head.contains("/poll?")).count();
    crate::cases::until("the next poll", || polls() >= 2).await;
}

#[tokio::test]
async fn case_063_a_deadline_above_ten_minutes_is_refused() {
    let plan = Plan::new().control("poll_timeout: 9m58s").control("poll_deadline_guardrail: 5s");
    let agent = refused(plan, 78, |setup| setup).await;
    agent.logged(&["poll", "10m"]).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_a_failure_like_others() {
    let world = replies(Plan::new(), vec![Reply::cut(), Reply::reset()]).await;
    assert_answered(&world.call(echo("after")).await);
    assert!(world.agent.count("poll failed; backing off") >= 2);
    assert_eq!(world.agent.count("poller recovered; polling operational"), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_metadata_record_that_cannot_be_had_changes_nothing() {
    let world = world(Plan::new(), options(), |setup, plane| {
        plane.fault(Fault::status(On::Metadata, 403, 1));
        setup
    })
    .await;
    let line = world.agent.logged(&["tunnel metadata fetch failed"]).await;
    assert!(line.contains("level=WARN") && line.contains("status_code=403"), "{line}");
    assert_answered(&world.call(echo("r1")).await);
    assert_eq!(world.plane.metadata_requests().len(), 1, "it is not tried again");
    world.plane.assert_clean();
}
