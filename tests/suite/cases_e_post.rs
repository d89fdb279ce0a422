//! What a response POST holds.

use crate::cases::{assert_answered, echo, options, raw_member, tool, world};
use crate::lab::{Command, Fault, On, Reply};
use crate::world::{Plan, World};

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;

/// The answer to a call that the server answers with these header lines.
async fn with_headers(lines: &[(&str, &str)]) -> crate::lab::ResponseRecord {
    let world = World::new().await;
    let reply = lines.iter().fold(Reply::json(200, RESULT), |reply, (name, value)| reply.header(name, value));
    world.stub.on_next(reply);
    let record = world.call(echo("r1")).await;
    assert_answered(&record);
    world.plane.assert_clean();
    record
}

#[tokio::test]
async fn case_102_a_response_has_its_six_members_in_order() {
    let world = World::new().await;
    let record = world.call(echo("r1")).await;
    assert_answered(&record);
    let text = String::from_utf8(record.raw.to_vec()).unwrap();
    let expected = concat!(
        r#"{"request_id":"r1","channel":"main","resp_json":{"jsonrpc":"2.0","id":1,"result":"#,
        r#"{"content":[{"type":"text","text":"r1"}]}},"resp_headers":{"Content-Type":["application/json"]},"#,
        r#""resp_code":200,"resp_type":"jsonrpc_response"}"#
    );
    assert_eq!(text, expected);
    assert_eq!(record.seen.header("content-type"), Some("application/json"));
    assert_eq!(record.seen.header("x-tunnel-shard-token"), Some("shard-r1"));
    assert_eq!(record.seen.header("content-encoding"), None);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_114_a_notification_is_acknowledged_without_a_payload() {
    let world = World::new().await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let record = world.call(Command::jsonrpc("n1", note)).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("notify_ack", 202));
    assert!(!record.json().as_object().unwrap().contains_key("resp_json"));
    assert_eq!(world.stub.requests()[0].text(), note);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_115_the_end_of_a_session_is_answered_without_a_payload() {
    let world = World::new().await;
    let record = world.call(Command::session_termination("t1", "session-9")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("session_termination_response", 200));
    assert!(!record.json().as_object().unwrap().contains_key("resp_json"));
    let seen = world.stub.requests();
    assert_eq!((seen.len(), seen[0].method.as_str()), (1, "DELETE"));
    assert_eq!(seen[0].header("mcp-session-id"), Some("session-9"));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_117_several_challenges_pass() {
    let record =
        with_headers(&[("WWW-Authenticate", "Bearer realm=\"a\""), ("www-authenticate", "Basic")]).await;
    assert_eq!(record.resp_headers["Www-Authenticate"], ["Bearer realm=\"a\"", "Basic"]);
}

#[tokio::test]
async fn case_118_names_are_spelled_one_way_and_others_do_not_pass() {
    let record = with_headers(&[
        ("mCp-SeSSion-iD", "s-1"),
        ("mcp-protocol-version", "2025-11-25"),
        ("LAST-EVENT-ID", "7"),
        ("access-control-expose-headers", "Mcp-Session-Id"),
        ("Set-Cookie", "a=b"),
        ("Server", "lab"),
        ("X-Secret", "1"),
    ])
    .await;
    let names: Vec<&str> = record.resp_headers.keys().map(String::as_str).collect();
    let expected = [
        "Access-Control-Expose-Headers",
        "Content-Type",
        "Last-Event-Id",
        "Mcp-Protocol-Version",
        "Mcp-Session-Id",
    ];
    assert_eq!(names, expected);
    assert_eq!(record.resp_header("Mcp-Session-Id"), Some("s-1"));
}

#[tokio::test]
async fn case_119_what_connection_nominates_does_not_pass() {
    let record = with_headers(&[("Connection", "close, Mcp-Session-Id"), ("Mcp-Session-Id", "s-1")]).await;
    assert_eq!(record.resp_header("Mcp-Session-Id"), None);
    assert_eq!(record.resp_header("Content-Type"), Some("application/json"));
}

#[tokio::test]
async fn case_121_empty_values_do_not_pass() {
    let record =
        with_headers(&[("Mcp-Session-Id", ""), ("WWW-Authenticate", ""), ("WWW-Authenticate", "Basic")])
            .await;
    assert_eq!(record.resp_header("Mcp-Session-Id"), None);
    assert_eq!(record.resp_headers["Www-Authenticate"], ["Basic"]);
}

#[tokio::test]
async fn case_122_a_result_means_the_same_after_it_was_wrapped() {
    let world = World::new().await;
    let result =
        "{\"a\":\"<script>&amp;\u{2028}\u{2029}\u{0}\u{7f}é\u{1F600}\",\"b\":\"\\ud83d\\ude00\\u0000\\/\"}"
            .replace('\u{0}', "");
    world.stub.on_next(Reply::json(200, format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{result}}}")));
    let record = world.call(echo("r1")).await;
    let expected: serde_json::Value = serde_json::from_str(&result).unwrap();
    assert_eq!(record.rpc()["result"], expected);
    // Nothing is re-encoded on the way.
    assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "result"), result);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_123_a_result_of_5_mib_arrives_whole() {
    let world = World::new().await;
    let record = world.call(tool("big", "big", r#"{"bytes":5242880}"#)).await;
    assert_answered(&record);
    let rpc = record.rpc();
    let text = rpc["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!((text.len(), text.bytes().all(|b| b == b'x')), (5_242_880, true));
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_123_a_result_that_the_control_plane_does_not_take_is_replaced_by_a_failure() {
    let world = World::new().await;
    world.plane.fault(Fault::status(On::Response, 413, 1));
    let command =
        Command::call("big", r#""nine""#, "tools/call", r#"{"name":"big","arguments":{"bytes":100000}}"#);
    world.plane.enqueue(command);
    let posts = world.plane.wait_for_responses("big", 2, crate::agent::SOON).await;
    assert_eq!(posts[0].resp_code, 200);
    assert!(posts[0].raw.len() > 100_000);
    assert_eq!((posts[1].resp_type.as_str(), posts[1].resp_code), ("jsonrpc_response", 502));
    assert_eq!(posts[1].failure_kind(), ("protocol".into(), "response_body_too_large".into()));
    assert_eq!(posts[1].rpc()["id"], "nine");
    assert!(posts[1].raw.len() < 1000);
    assert_answered(&world.call(echo("after")).await);
    assert_eq!(world.plane.responses_for("big").len(), 2, "replaced once");
    world.plane.assert_clean();
}

#[tokio::test]
async fn an_answer_beyond_the_agents_own_bound_is_replaced_by_a_failure() {
    let plan = Plan::new().top("limits: {answer_bytes: 65536}");
    let world = world(plan, options(), |setup, _| setup).await;
    let record = world.call(tool("big", "big", r#"{"bytes":70000}"#)).await;
    assert_eq!(record.resp_code, 502);
    assert_eq!(record.failure_kind(), ("protocol".into(), "response_body_too_large".into()));
    assert_answered(&world.call(tool("fits", "big", r#"{"bytes":60000}"#)).await);
    world.plane.assert_clean();
}
