//! `mcp.startup_wait_timeout`: what the first poll waits for, and what becomes of it when that does not come.

use std::time::{Duration, Instant};

use crate::agent::{SOON, Setup};
use crate::asking::{self, get, plan, until};
use crate::lab::{ControlPlane, Stub, StubOptions};
use crate::watchdog::Manager;
use crate::world::World;

/// The MCP server is down when the agent starts.
async fn without_server(wait: &str) -> World {
    without_server_as(wait, asking::own).await
}

/// The same with an agent that is started otherwise.
async fn without_server_as(wait: &str, change: impl FnOnce(Setup) -> Setup) -> World {
    let plan = plan("").mcp(&format!("startup_wait_timeout: {wait}"));
    let plane = ControlPlane::start(crate::cases::options()).await;
    let stub = Stub::start(StubOptions::default()).await;
    stub.go_down();
    let agent = change(plan.setup(&plane, &stub)).start();
    World { plane, stub, agent }
}

#[tokio::test]
async fn case_301_no_poll_before_the_mcp_server_is_there_and_ready_after() {
    let mut world = without_server("30s").await;
    world.agent.logged(&["waiting for the mcp server"]).await;
    let ready = until(&world.agent, Some("mcp_unreachable")).await;
    assert!(!ready.body.contains("startup wait failed"), "{}", ready.body);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.plane.poll_count(), 0);
    let came = Instant::now();
    world.stub.come_back().await;
    until(&world.agent, None).await;
    assert!(came.elapsed() < Duration::from_secs(10), "{:?}", came.elapsed());
    assert!(world.plane.poll_count() > 0);
    // A server that goes later is no failure of the start, and a new worker does not wait again.
    world.stub.go_down();
    let polls = world.plane.poll_count();
    world.agent.signal("HUP");
    world.agent.logged(&["reloaded; the old worker finishes"]).await;
    world.plane.wait_for_poll(polls + 1, SOON).await;
    assert_eq!(world.agent.count("waiting for the mcp server"), 1);
    world.end().await;
}

#[tokio::test]
async fn case_302_polling_begins_when_the_wait_is_over_and_the_reason_says_so_until_the_server_is_there() {
    let mut world = without_server("1500ms").await;
    world.plane.wait_for_poll(1, SOON).await;
    world.agent.logged(&["mcp startup wait failed; polling begins"]).await;
    let ready = until(&world.agent, Some("mcp_unreachable")).await;
    let expected =
        "mcp startup wait failed: the MCP server of channel main cannot be reached: connection refused";
    let end = Instant::now() + SOON;
    while get(&world.agent, "/readyz").await.body != expected {
        assert!(Instant::now() < end, "{}", get(&world.agent, "/readyz").await.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ready.status, 503);
    world.stub.come_back().await;
    until(&world.agent, None).await;
    world.stub.go_down();
    world.call(crate::calls::tool("lost", "echo", "{}")).await;
    let ready = until(&world.agent, Some("mcp_unreachable")).await;
    assert!(!ready.body.contains("startup wait failed"), "{}", ready.body);
    world.end().await;
}

#[tokio::test]
async fn a_wait_is_no_hindrance_to_a_stop() {
    let mut world = without_server("10m").await;
    world.agent.logged(&["waiting for the mcp server"]).await;
    world.agent.signal("TERM");
    let status = world.agent.ended(Duration::from_secs(6)).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0));
    assert_eq!(world.plane.poll_count(), 0);
}

#[tokio::test]
async fn a_wait_is_no_reason_not_to_feed_the_watchdog() {
    let manager = Manager::new();
    let mut world = without_server_as("10m", |setup| manager.watches(asking::own(setup))).await;
    world.agent.logged(&["waiting for the mcp server"]).await;
    // A loop that does not move is found after ten seconds.
    manager.hears_for(Duration::from_secs(14)).await;
    assert_eq!((world.plane.poll_count(), world.agent.count("worker started")), (0, 1));
    world.stub.come_back().await;
    until(&world.agent, None).await;
    world.end().await;
}
