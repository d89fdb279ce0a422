//! Response POSTs that fail: which are tried again.

use std::time::Duration;

use crate::agent::SOON;
use crate::cases::{A_WHILE, answer, assert_answered, echo, tool, until};
use crate::lab::{Fault, On, Part, Reply, ResponseRecord};
use crate::world::{Plan, World};

/// A call with `n` progress notifications, so many milliseconds apart.
fn stream(request_id: &str, n: u32, interval_ms: u32) -> crate::lab::Command {
    tool(request_id, "stream", &format!(r#"{{"n":{n},"interval_ms":{interval_ms}}}"#))
}

fn kinds(posts: &[ResponseRecord]) -> Vec<&str> {
    posts.iter().map(|p| p.resp_type.as_str()).collect()
}

#[tokio::test]
async fn case_103_attempts_are_identical() {
    let world = World::new().await;
    world.plane.fault(Fault::status(On::Response, 503, 2));
    world.plane.enqueue(echo("r1").header("X-Request-Id", "x"));
    let posts = world.plane.wait_for_responses("r1", 3, SOON).await;
    until("the third is taken", || world.plane.responses_for("r1")[2].status == 200).await;
    for post in &posts {
        assert_eq!(post.raw, posts[0].raw);
        assert_eq!(post.seen.headers, posts[0].seen.headers);
    }
    assert_answered(&posts[2]);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.plane.responses_for("r1").len(), 3);
    assert_eq!(world.stub.request_count(), 1, "the MCP server is not asked again");
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_105_what_may_pass_is_tried_again() {
    let world = World::new().await;
    for status in [408, 429, 500, 502, 503, 504] {
        let id = format!("r{status}");
        world.plane.fault(Fault::status(On::Response, status, 1));
        world.plane.enqueue(echo(&id));
        let posts = world.plane.wait_for_responses(&id, 2, SOON).await;
        assert_eq!(posts[0].raw, posts[1].raw);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_response_waits_as_long_as_the_control_plane_asks() {
    let world = World::new().await;
    world.plane.fault(Fault { retry_after: Some("1".into()), ..Fault::status(On::Response, 429, 1) });
    world.plane.enqueue(echo("r1"));
    let posts = world.plane.wait_for_responses("r1", 2, SOON).await;
    assert!(posts[1].seen.arrived - posts[0].complete >= Duration::from_secs(1));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_lost_answer_to_a_response_is_no_reason_to_give_up() {
    let world = World::new().await;
    // The control plane takes the response, but the connection ends before it says so.
    world.plane.fault(Fault { cut: true, process: Some(true), ..Fault::on(On::Response) });
    world.plane.enqueue(echo("r1"));
    let posts = world.plane.wait_for_responses("r1", 2, SOON).await;
    assert_eq!(posts[0].raw, posts[1].raw);
    // The second finds its request answered, which is as good as success.
    world.agent.logged(&["response already fulfilled or unknown request", "request_id=r1"]).await;
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_106_what_does_not_pass_is_not_tried_again() {
    let world = World::new().await;
    for status in [400, 401, 403, 302] {
        let id = format!("r{status}");
        world.plane.fault(Fault::status(On::Response, status, 1));
        world.plane.enqueue(echo(&id));
        world.agent.logged(&["answer could not be delivered", &format!("request_id={id}")]).await;
    }
    assert_answered(&world.call(echo("after")).await);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.plane.responses().len(), 5);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_107_an_unknown_request_is_done() {
    let world = World::new().await;
    world.plane.fault(Fault::status(On::Response, 404, 1));
    world.plane.enqueue(echo("r1"));
    let line = world.agent.logged(&["response already fulfilled or unknown request", "request_id=r1"]).await;
    assert!(line.contains("level=WARN"), "{line}");
    assert_answered(&world.call(echo("after")).await);
    assert_eq!(world.plane.responses_for("r1").len(), 1);
    assert_eq!(world.agent.count("could not be delivered"), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_109_any_2xx_is_delivered() {
    let world = World::new().await;
    for status in [201, 202, 204] {
        let id = format!("r{status}");
        let fault = Fault { body: Some(String::new()), ..Fault::status(On::Response, status, 1) };
        world.plane.fault(Fault { process: Some(true), ..fault });
        assert_answered(&world.call(echo(&id)).await);
    }
    assert_answered(&world.call(echo("after")).await);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.plane.responses().len(), 4);
    assert_eq!(world.agent.count("level=WARN") + world.agent.count("level=ERROR"), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_110_a_notification_that_was_not_sent_is_tried_again() {
    let mut world = World::new().await;
    world.plane.enqueue(stream("r1", 2, 700));
    let posts = world.plane.wait_for_responses("r1", 1, SOON).await;
    assert_eq!(posts[0].resp_type, "jsonrpc_notify");
    until("the first is taken", || world.plane.responses_for("r1")[0].status == 200).await;
    // The second notification meets a closed port.
    world.plane.go_down();
    world.agent.logged(&["response post failed; trying again", "jsonrpc_notify", "refused"]).await;
    world.plane.come_back().await;
    assert_answered(&answer(&world, "r1").await);
    let posts = world.plane.responses_for("r1");
    assert_eq!(kinds(&posts), ["jsonrpc_notify", "jsonrpc_notify", "jsonrpc_response"]);
    let progress = |n: usize| posts[n].rpc()["params"]["progress"].clone();
    assert_eq!((progress(0), progress(1)), (1.into(), 2.into()));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_notification_that_was_refused_for_now_is_tried_again() {
    let world = World::new().await;
    world.plane.fault(Fault::status(On::Response, 429, 1));
    world.plane.enqueue(stream("r1", 1, 0));
    assert_answered(&answer(&world, "r1").await);
    let posts = world.plane.responses_for("r1");
    assert_eq!(kinds(&posts), ["jsonrpc_notify", "jsonrpc_notify", "jsonrpc_response"]);
    assert_eq!(posts[0].raw, posts[1].raw);
    world.plane.assert_clean();
}

/// Lets the first notification of three fail in this way.
async fn first_of_three(fault: Fault) {
    let world = World::new().await;
    world.plane.fault(fault.clone());
    world.plane.enqueue(stream("r1", 3, 50));
    assert_answered(&answer(&world, "r1").await);
    let posts = world.plane.responses_for("r1");
    assert_eq!(kinds(&posts), ["jsonrpc_notify", "jsonrpc_response"], "after {fault:?}");
    assert_eq!(posts[0].rpc()["params"]["progress"], 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_111_a_notification_that_may_have_arrived_is_not_tried_again() {
    for reset in [true, false] {
        first_of_three(Fault { cut: true, reset, ..Fault::on(On::Response) }).await;
    }
    for status in [408, 500, 502, 503, 504] {
        first_of_three(Fault::status(On::Response, status, 1)).await;
    }
}

#[tokio::test]
async fn case_113_after_a_lost_notification_only_the_answer_is_posted() {
    first_of_three(Fault::status(On::Response, 400, 1)).await;
}

#[tokio::test]
async fn a_control_plane_that_is_away_gets_the_answer_when_it_is_back() {
    let mut world = World::new().await;
    world.plane.enqueue(crate::cases::sleep("r1", 400));
    world.stub.wait_for_requests(1, SOON).await;
    world.plane.go_down();
    world.agent.logged(&["response post failed; trying again", "request_id=r1"]).await;
    world.plane.come_back().await;
    assert_answered(&answer(&world, "r1").await);
    assert_eq!(world.stub.request_count(), 1);
    assert_answered(&world.call(echo("after")).await);
    world.plane.assert_clean();
}

/// A world whose requests to the control plane end after half a second.
async fn impatient() -> World {
    Plan::new().control("poll_timeout: 100ms").control("poll_deadline_guardrail: 400ms").start().await
}

#[tokio::test]
async fn an_attempt_that_hangs_ends_and_is_repeated() {
    let world = impatient().await;
    world.plane.fault(Fault { hang: true, ..Fault::on(On::Response) });
    world.plane.enqueue(echo("r1"));
    let posts = world.plane.wait_for_responses("r1", 2, SOON).await;
    assert_eq!(posts[0].raw, posts[1].raw);
    assert!(posts[1].seen.arrived - posts[0].seen.arrived >= Duration::from_millis(300));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_notification_that_hangs_is_not_repeated_and_the_answer_follows() {
    let world = impatient().await;
    world.plane.fault(Fault { hang: true, ..Fault::on(On::Response) });
    world.plane.enqueue(stream("r1", 2, 50));
    assert_answered(&answer(&world, "r1").await);
    assert_eq!(kinds(&world.plane.responses_for("r1")), ["jsonrpc_notify", "jsonrpc_response"]);
    world.plane.assert_clean();
}

#[tokio::test]
async fn an_acknowledgement_without_an_end_is_one() {
    let world = World::new().await;
    let stuck = Reply::json(200, "{\"status\":").then(Part::Hang);
    world.plane.fault(Fault { process: Some(true), ..Fault::reply(On::Response, stuck) });
    assert_answered(&world.call(echo("r1")).await);
    assert_answered(&world.call(echo("after")).await);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.plane.responses().len(), 2);
    assert_eq!(world.agent.count("response post failed"), 0);
    world.plane.assert_clean();
}
