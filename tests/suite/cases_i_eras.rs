//! Stdio servers and the two eras of MCP: one child for each, the guard before a session, the agent's own announcement.

use crate::agent::eventually;
use crate::calls::{Record, initialize, initialized, modern_tool, open, plan, tag, text_of, tool};
use crate::lab::{Command, ResponseRecord};
use crate::world::World;

/// The running servers.
fn servers(world: &World) -> Vec<u32> {
    let children = crate::agent::children_of(world.agent.pid());
    let is_server = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        // Before it becomes the server, a child is an image of the agent with the same words behind its own.
        String::from_utf8_lossy(&line).starts_with(&crate::lab::program().display().to_string())
    };
    children.into_iter().filter(is_server).collect()
}

#[track_caller]
fn is_refusal(answer: &ResponseRecord) {
    let rpc = answer.rpc();
    assert_eq!((answer.resp_code, rpc["error"]["code"].as_i64()), (409, Some(-32002)), "{rpc}");
    let data = serde_json::json!({"origin": "tunnel-client", "error_type": "mcp_initialization_required"});
    assert_eq!(rpc["error"]["data"], data);
}

#[tokio::test]
async fn a_second_server_is_started_for_the_other_era_and_neither_sees_the_others_messages() {
    for session_first in [true, false] {
        let record = Record::new();
        let world = plan().stdio(&format!("--one-era {}", record.flag()), "").start().await;
        let mut pids = Vec::new();
        for session in [session_first, !session_first] {
            if session {
                open(&world, "o").await;
                pids.push(text_of(&world.call(tool("session", "pid", "{}")).await));
            } else {
                pids.push(text_of(&world.call(modern_tool("modern", "pid", "{}")).await));
            }
            assert_eq!(servers(&world).len(), pids.len(), "a server for each era that was asked for");
        }
        assert_ne!(pids[0], pids[1]);
        // Both stay, and the session is still open.
        let session = text_of(&world.call(tool("session2", "pid", "{}")).await);
        let modern = text_of(&world.call(modern_tool("modern2", "pid", "{}")).await);
        assert_eq!(
            [session.clone(), modern],
            [&pids[usize::from(!session_first)], &pids[usize::from(session_first)]].map(String::clone)
        );
        for (pid, line) in record.lines() {
            let is_modern =
                line.contains("protocolVersion\":\"2026-07-28") && line.contains("clientCapabilities");
            assert_eq!(pid.to_string() == session, !is_modern, "{line}");
        }
        world.end().await;
    }
}

#[tokio::test]
async fn a_request_before_the_handshake_is_refused_and_not_written() {
    let record = Record::new();
    let world = plan().stdio(&record.flag(), "").start().await;
    is_refusal(&world.call(tool("early", "echo", "{}")).await);
    assert_eq!(world.call(Command::call("ping", "1", "ping", "{}")).await.resp_code, 200);
    assert_eq!(world.call(initialize("i")).await.resp_code, 200);
    is_refusal(&world.call(tool("between", "echo", "{}")).await);
    assert_eq!(world.call(initialized("n")).await.resp_type, "notify_ack");
    assert_eq!(world.call(tool("open", "echo", "{}")).await.resp_code, 200);
    assert_eq!(
        [record.count(&tag("early")), record.count(&tag("between")), record.count(&tag("open"))],
        [0, 0, 1]
    );
    // A new initialize asks for the whole handshake again.
    assert_eq!(world.call(initialize("i2")).await.resp_code, 200);
    is_refusal(&world.call(tool("again", "echo", "{}")).await);
    world.end().await;
}

#[tokio::test]
async fn a_new_server_asks_for_a_new_handshake() {
    let world = plan().stdio("--exit-on resources/list", "").start().await;
    open(&world, "o").await;
    world.call(Command::call("end", "1", "resources/list", "{}")).await;
    is_refusal(&world.call(tool("r1", "echo", "{}")).await);
    open(&world, "again").await;
    assert_eq!(world.call(tool("r2", "echo", "{}")).await.resp_code, 200);
    world.end().await;
}

#[tokio::test]
async fn the_agent_announces_a_session_once_when_it_is_told_to() {
    let record = Record::new();
    let plan = plan().stdio(&record.flag(), "").mcp("stdio_send_initialized_notification: true");
    let world = plan.start().await;
    assert_eq!(world.call(initialize("i")).await.resp_code, 200);
    assert_eq!(world.call(tool("r1", "echo", "{}")).await.resp_code, 200);
    let ack = world.call(initialized("n")).await;
    assert_eq!((ack.resp_type.as_str(), ack.resp_code), ("notify_ack", 200));
    assert_eq!(world.call(tool("r2", "echo", "{}")).await.resp_code, 200);
    let methods: Vec<_> = record
        .lines()
        .iter()
        .map(|(_, line)| serde_json::from_str::<serde_json::Value>(line).unwrap()["method"].clone())
        .collect();
    assert_eq!(methods, ["initialize", "notifications/initialized", "tools/call", "tools/call"]);
    world.end().await;
}

#[tokio::test]
async fn a_server_of_each_era_is_replaced_in_its_own_era() {
    let world = plan().stdio("--one-era", "").top("restart: {backoff_min: 20ms}").start().await;
    open(&world, "o").await;
    let first: u32 = text_of(&world.call(modern_tool("m1", "pid", "{}")).await).parse().unwrap();
    let session = text_of(&world.call(tool("s1", "pid", "{}")).await);
    crate::agent::kill(first, "KILL");
    let replaced = eventually(|| {
        let now = servers(&world);
        (now.len() == 2 && !now.contains(&first)).then_some(())
    });
    assert!(replaced.await.is_some(), "the server was not replaced");
    let second: u32 = text_of(&world.call(modern_tool("m2", "pid", "{}")).await).parse().unwrap();
    assert_ne!(first, second);
    assert_eq!(text_of(&world.call(tool("s2", "pid", "{}")).await), session, "the session was lost");
    world.end().await;
}
