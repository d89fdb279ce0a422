//! What the control plane can make the agent hold.

use crate::agent::SOON;
use crate::cases::{
    A_WHILE, answer, assert_answered, assert_error, batch, body_of, echo, exact, tool, until,
};
use crate::lab::{Command, Reply};
use crate::world::{Plan, World};

/// A call whose arguments have about so many bytes.
fn heavy(request_id: &str, name: &str, bytes: usize) -> Command {
    tool(request_id, name, &format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes)))
}

#[tokio::test]
async fn a_poll_body_beyond_its_bound_still_gives_its_first_commands() {
    let plan = Plan::new().top("limits: {poll_body_bytes: 8192}");
    let all = [echo("a").text(), echo("b").text(), heavy("c", "echo", 20_000).text()];
    let world = batch(plan, &all).await;
    assert_answered(&answer(&world, "a").await);
    assert_answered(&answer(&world, "b").await);
    world.agent.logged(&["poll failed", "body is too large", "commands_rescued=2"]).await;
    assert_answered(&world.call(echo("later")).await);
    assert!(world.plane.responses_for("c").is_empty());
    world.plane.assert_clean();
}

#[tokio::test]
async fn payloads_in_flight_are_bounded_by_not_polling() {
    let plan = Plan::new()
        .top("limits: {poll_body_bytes: 65536, answer_bytes: 65536, in_flight_bytes: 65536}")
        .top("poll_grace: 100ms");
    let world = plan.start().await;
    for id in ["h1", "h2"] {
        world.plane.enqueue(heavy(id, "silent", 40_000).response_timeout("3s"));
    }
    world.stub.wait_for_requests(2, SOON).await;
    until("nothing is polled for", || world.plane.polls().iter().all(|p| p.answered.is_some())).await;
    let polls = world.plane.poll_count();
    world.plane.enqueue(echo("r1"));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((world.plane.poll_count(), world.plane.queued()), (polls, 1));
    // The deadlines of the heavy ones make room.
    assert_answered(&answer(&world, "r1").await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_command_of_a_megabyte_is_an_ordinary_one() {
    let world = World::new().await;
    let record = world.call(heavy("r1", "echo", 1 << 20)).await;
    assert_answered(&record);
    let rpc = record.rpc();
    assert_eq!(rpc["result"]["content"][0]["text"].as_str().map(str::len), Some(1 << 20));
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_crowd_of_malformed_commands_is_answered_one_by_one() {
    let odd: Vec<String> = (0..200).map(|n| echo(&format!("odd{n}")).raw("jsonrpc", "[]").text()).collect();
    let mut all = odd.clone();
    all.push(echo("good").text());
    let polls = all.len().div_ceil(20);
    let world = exact(Plan::new(), &all, polls, Reply::json(200, body_of(&all))).await;
    assert_answered(&answer(&world, "good").await);
    for n in 0..200 {
        assert_error(&answer(&world, &format!("odd{n}")).await, 400, -32700);
    }
    assert_eq!(world.stub.request_count(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn ids_of_a_length_that_nobody_needs_are_not_held() {
    let long = "x".repeat(5000);
    let all = [echo("before").text(), echo(&long).text(), echo("after").text()];
    let world = batch(Plan::new(), &all).await;
    assert_answered(&answer(&world, "before").await);
    assert_answered(&answer(&world, "after").await);
    world.agent.logged(&["control-plane command dropped", "request_id is too long"]).await;
    assert_eq!(world.stub.request_count(), 2);
    world.plane.assert_clean();
}

#[tokio::test]
async fn headers_that_cannot_be_forwarded_are_answered() {
    let many = (0..200).fold(echo("many"), |command, n| command.header(&format!("X-{n}"), "1"));
    let large = echo("large").header("X-Large", &"x".repeat(70_000));
    let split = echo("split").header("X-Split", "a\r\nX-Injected: 1");
    let all = [many.text(), large.text(), split.text(), echo("good").text()];
    let world = batch(Plan::new(), &all).await;
    assert_answered(&answer(&world, "good").await);
    for id in ["many", "large", "split"] {
        let record = answer(&world, id).await;
        assert_error(&record, 400, -32600);
        assert_eq!(record.rpc()["id"], 1);
    }
    assert_eq!(world.stub.request_count(), 1);
    world.plane.assert_clean();
}
