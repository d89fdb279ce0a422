//! Answers as event streams: what of them is posted, when, and what becomes of streams that break.

use std::time::Duration;

use http::Method;

use crate::agent::SOON;
use crate::calls::{plan, received, tool};
use crate::lab::{Fault, On, Part, Reply, ResponseRecord};
use crate::world::World;

fn answer(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"done":true}}}}"#)
}

fn progress(n: u32) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{n}}}}}"#
    )
}

async fn call(world: &World, id: &str, reply: Reply) -> ResponseRecord {
    world.stub.on_next(reply);
    world.call(tool(id, "echo", "{}")).await
}

#[track_caller]
fn is_failure(answer: &ResponseRecord, source: &str, kind: &str) {
    assert_eq!((answer.resp_code, answer.failure_kind()), (502, (source.into(), kind.into())));
}

/// The kinds of what was posted for a command, in order.
fn posted(world: &World, id: &str) -> Vec<String> {
    world.plane.responses_for(id).iter().map(|r| r.resp_type.clone()).collect()
}

#[tokio::test]
async fn case_169_notifications_are_posted_while_the_stream_runs() {
    let world = plan().start().await;
    let reply = Reply::sse().header("Mcp-Session-Id", "s-1").event(&progress(1)).event(&progress(2));
    world.stub.on_next(reply.wait(Duration::from_secs(2)).event(&answer("r1")));
    world.plane.enqueue(tool("r1", "echo", "{}"));
    let first = world.plane.wait_for_responses("r1", 2, SOON).await;
    assert_eq!(posted(&world, "r1"), ["jsonrpc_notify", "jsonrpc_notify"]);
    for (n, note) in [(1, &first[0]), (2, &first[1])] {
        assert_eq!(note.resp_json.as_deref(), Some(progress(n).as_str()));
        assert_eq!((note.resp_code, note.resp_header("Mcp-Session-Id")), (200, Some("s-1")));
        assert_eq!(note.resp_header("Content-Type"), Some("text/event-stream"));
    }
    let last = world.plane.wait_for_response("r1", SOON).await;
    assert_eq!((last.resp_code, last.resp_json), (200, Some(answer("r1"))));
    assert_eq!(posted(&world, "r1").len(), 3);
    world.end().await;
}

#[tokio::test]
async fn case_097_113_what_becomes_of_notifications_never_costs_the_answer() {
    let world = plan().start().await;
    world.plane.fault(Fault::status(On::Response, 400, 1));
    let reply = Reply::sse().event(&progress(1)).wait(Duration::from_millis(100)).event(&progress(2));
    let last = call(&world, "r1", reply.event(&answer("r1"))).await;
    assert_eq!(last.resp_json, Some(answer("r1")));
    assert_eq!(
        posted(&world, "r1"),
        ["jsonrpc_notify", "jsonrpc_response"],
        "a notification after a lost one"
    );

    world.stub.on_next(Reply::sse().event(&progress(1)).then(Part::Hang));
    world.plane.enqueue(tool("r2", "echo", "{}").response_timeout("700ms"));
    world.plane.wait_for_responses("r2", 1, SOON).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(posted(&world, "r2"), ["jsonrpc_notify"], "posted after the deadline");
    world.end().await;
}

#[tokio::test]
async fn case_170_171_174_175_187_odd_streams_bring_their_answer_and_nothing_else() {
    let world = plan().start().await;
    let text = ": hello\r\n\r\nevent: ping\r\ndata: {}\r\n\r\nstrange\r\nid: 7\r\ndata:\r\n\r\n";
    let whole = answer("r1").replace("true", "\"gr\u{fc}n\"");
    let event = format!("event: message\r\ndata: {whole}\r\n\r\n").into_bytes();
    // In the middle of a character, and between CR and LF.
    let middle = event.iter().position(|b| *b == 0xc3).unwrap() + 1;
    let pause = Duration::from_millis(30);
    let reply = Reply::sse().data(text).data(event[..middle].to_vec()).wait(pause);
    let reply = reply.data(event[middle..event.len() - 3].to_vec()).wait(pause);
    let reply = reply.data(event[event.len() - 3..].to_vec()).event(&progress(9)).event(&answer("r1"));
    let got = call(&world, "r1", reply).await;
    assert_eq!(got.resp_json, Some(whole));
    world.call(tool("r2", "echo", "{}")).await;
    assert_eq!(posted(&world, "r1"), ["jsonrpc_response"]);
    world.end().await;
}

#[tokio::test]
async fn case_173_178_a_broken_stream_is_resumed_once_and_answered_once() {
    let world = plan().start().await;
    let broken = format!("id: e1\ndata:\n\nid: e2\ndata: {}\n\nretry: 10\n\n", progress(1));
    world.stub.on_next(Reply::sse().header("Mcp-Session-Id", "s-1").data(broken).then(Part::Cut));
    world.stub.on_next(Reply::sse().event(&progress(2)).event(&answer("r1")));
    let command = tool("r1", "echo", "{}").header("Authorization", "Bearer connector");
    let got = world.call(command.header("Mcp-Session-Id", "s-1")).await;
    assert_eq!(got.resp_json, Some(answer("r1")));
    assert_eq!(posted(&world, "r1"), ["jsonrpc_notify", "jsonrpc_notify", "jsonrpc_response"]);
    let seen = world.stub.requests();
    assert_eq!(seen.iter().map(|r| r.method.clone()).collect::<Vec<_>>(), [Method::POST, Method::GET]);
    for (name, value) in
        [("last-event-id", "e2"), ("authorization", "Bearer connector"), ("mcp-session-id", "s-1")]
    {
        assert_eq!(seen[1].headers.get(name).map(|v| v.to_str().unwrap()), Some(value), "{name}");
    }
    assert_eq!(received(&world.stub, "r1"), 1);
    world.end().await;
}

#[tokio::test]
async fn case_177_179_182_streams_without_a_usable_answer_are_told_apart() {
    let world = plan().start().await;
    let got = call(&world, "r177", Reply::sse().event(&progress(1))).await;
    is_failure(&got, "transport_closed", "eof");
    assert_eq!(got.rpc()["id"], "r177");

    world.stub.on_next(Reply::sse().data("id: 1\nretry: 10\ndata:\n\n").then(Part::Cut));
    let got = call(&world, "r179", Reply::status(405)).await;
    assert_eq!(got.resp_code, 502);
    assert!(got.failure().is_some());
    assert_eq!(world.stub.requests().last().unwrap().method, Method::GET);

    let got = call(&world, "r182", Reply::sse().event("no JSON")).await;
    is_failure(&got, "protocol", "malformed_json");
    assert!(
        world.stub.requests().iter().all(|r| r.method != Method::DELETE),
        "a failed call ended a session"
    );
    world.end().await;
}

#[tokio::test]
async fn case_183_a_server_that_asks_back_is_answered_and_still_answers() {
    let world = plan().start().await;
    let ask =
        |id: u32, method: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
    let reply = Reply::sse().event(&ask(1, "ping")).event(&ask(2, "sampling/createMessage"));
    let got = call(&world, "r1", reply.wait(Duration::from_millis(300)).event(&answer("r1"))).await;
    assert_eq!(got.resp_json, Some(answer("r1")));
    assert_eq!(posted(&world, "r1"), ["jsonrpc_response"], "a server's request was forwarded");
    let seen = world.stub.wait_for_requests(3, SOON).await;
    let said = |id: u32| seen.iter().find(|r| r.json()["id"] == id).expect("an answer to the server").json();
    assert_eq!(said(1)["result"], serde_json::json!({}));
    assert_eq!(said(2)["error"]["code"], -32601);
    world.end().await;
}

#[tokio::test]
async fn case_185_an_endless_line_is_cut_at_the_configured_bound() {
    let world = plan().top("limits: {answer_bytes: 65536}").start().await;
    let endless = Reply::sse().data("data: ").then(Part::Repeat("x".repeat(4096).into(), usize::MAX));
    is_failure(&call(&world, "r1", endless).await, "protocol", "response_body_too_large");
    assert_eq!(world.call(tool("r2", "echo", "{}")).await.resp_code, 200);
    world.end().await;
}

#[tokio::test]
async fn case_186_a_silent_stream_ends_at_the_age_limit_with_a_failure() {
    let world = plan().mcp("connection_max_ttl: 600ms").start().await;
    let got = call(&world, "r1", Reply::sse().event(&progress(1)).then(Part::Hang)).await;
    is_failure(&got, "timeout", "timeout");
    assert_eq!(posted(&world, "r1"), ["jsonrpc_notify", "jsonrpc_response"]);
    is_failure(&call(&world, "r2", Reply::hang()).await, "timeout", "timeout");
    world.end().await;
}
