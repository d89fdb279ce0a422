//! The end of MCP sessions.

use http::Method;

use crate::agent::SOON;
use crate::calls::{Record, open, plan, text_of, tool};
use crate::lab::{Command, Reply, ResponseRecord};

fn ended(answer: &ResponseRecord) -> u16 {
    assert_eq!((answer.resp_type.as_str(), &answer.resp_json), ("session_termination_response", &None));
    answer.resp_code
}

#[tokio::test]
async fn case_189_a_termination_without_a_session_is_answered_and_goes_nowhere() {
    let world = plan().start().await;
    let command =
        r#"{"request_id":"r1","shard_token":"s","command_type":"session_termination","channel":"main"}"#;
    world.plane.enqueue_raw(command);
    assert_eq!(ended(&world.plane.wait_for_response("r1", SOON).await), 400);
    assert_eq!(world.stub.request_count(), 0);
    world.end().await;
}

#[tokio::test]
async fn case_190_a_server_that_is_gone_is_told_as_502() {
    let world = plan().start().await;
    world.stub.go_down();
    assert_eq!(ended(&world.call(Command::session_termination("r1", "s-1")).await), 502);
    world.end().await;
}

#[tokio::test]
async fn case_191_a_stdio_server_has_no_sessions_and_notices_nothing() {
    let record = Record::new();
    let world = plan().stdio(&record.flag(), "").start().await;
    open(&world, "o").await;
    let before = text_of(&world.call(tool("r1", "pid", "{}")).await);
    let lines = record.lines().len();
    assert_eq!(ended(&world.call(Command::session_termination("r2", "s-1")).await), 405);
    assert_eq!(record.lines().len(), lines, "something was written for it");
    assert_eq!(text_of(&world.call(tool("r3", "pid", "{}")).await), before);
    world.end().await;
}

#[tokio::test]
async fn case_193_one_delete_carries_the_commands_headers_and_its_status_comes_back() {
    let world = plan().start().await;
    let command = |id: &str| {
        let base = Command::session_termination(id, "s-1").text();
        base.replace("Mcp-Session-Id", "mcp-session-id").replace("]}}", r#"],"X-A":["1","2"]}}"#)
    };
    world.plane.enqueue_raw(command("r1"));
    assert_eq!(ended(&world.plane.wait_for_response("r1", SOON).await), 200);
    let seen = world.stub.requests();
    assert_eq!(seen.len(), 1);
    assert_eq!((&seen[0].method, seen[0].path.as_str(), seen[0].text()), (&Method::DELETE, "/mcp", ""));
    assert_eq!(seen[0].headers["mcp-session-id"], "s-1");
    assert_eq!(seen[0].headers.get_all("x-a").iter().count(), 2);

    for status in [204, 404, 405, 500] {
        let id = format!("r{status}");
        world.stub.on_next(Reply::status(status));
        world.plane.enqueue_raw(command(&id));
        assert_eq!(ended(&world.plane.wait_for_response(&id, SOON).await), status);
    }
    assert_eq!(world.stub.request_count(), 5);
    world.end().await;
}
