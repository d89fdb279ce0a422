//! Commands that cannot be executed: who gets an answer, and which.

use crate::cases::{answer, assert_answered, assert_error, batch, echo, raw_member};
use crate::lab::{Command, ResponseRecord};
use crate::world::{Plan, World};

/// Delivers the command between two good ones, in one body, and returns its answer. Nothing of it may reach the MCP
/// server, and the neighbours must be answered.
async fn between(command: &Command) -> ResponseRecord {
    let world = batch(Plan::new(), &[echo("before").text(), command.text(), echo("after").text()]).await;
    assert_answered(&answer(&world, "before").await);
    assert_answered(&answer(&world, "after").await);
    let record = answer(&world, "odd").await;
    assert_eq!(world.stub.request_count(), 2, "the odd one must not be forwarded");
    assert_eq!(world.plane.responses().len(), 3);
    world.agent.logged(&["level=WARN", "request_id=odd"]).await;
    world.plane.assert_clean();
    record
}

fn odd(payload: &str) -> Command {
    Command::jsonrpc("odd", payload)
}

#[tokio::test]
async fn case_065_an_unknown_kind_of_command_is_no_method() {
    let record = between(&echo("odd").raw("command_type", r#""telepathy""#)).await;
    assert_error(&record, 400, -32601);
    let record = between(&echo("odd").raw("command_type", r#""telepathy""#).without("jsonrpc")).await;
    assert_error(&record, 400, -32601);
    assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "id"), "null");
}

#[tokio::test]
async fn a_command_without_a_kind_is_invalid() {
    let record = between(&echo("odd").without("command_type")).await;
    assert_error(&record, 400, -32600);
}

#[tokio::test]
async fn case_066_without_its_ids_a_command_is_dropped_and_its_neighbours_are_not() {
    let nobody = [
        echo("x1").without("shard_token"),
        echo("x2").raw("shard_token", r#""""#),
        echo("x3").without("request_id"),
        echo("x4").raw("request_id", r#""""#),
        echo("x5").raw("shard_token", r#""a\r\nb""#),
    ];
    let mut all = vec![echo("before").text()];
    all.extend(nobody.iter().map(Command::text));
    all.push(echo("after").text());
    let world = batch(Plan::new(), &all).await;
    assert_answered(&answer(&world, "before").await);
    assert_answered(&answer(&world, "after").await);
    world.agent.logged(&["level=WARN", "control-plane command dropped", "shard_token"]).await;
    world.agent.logged(&["level=WARN", "control-plane command dropped", "request_id"]).await;
    assert_eq!(world.stub.request_count(), 2);
    assert_eq!(world.plane.responses().len(), 2);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_069_a_bad_channel_name_is_answered_as_main() {
    for name in ["a b".to_owned(), "x".repeat(65), "ä".to_owned(), "a/b".to_owned()] {
        let record = between(&echo("odd").channel(&name)).await;
        assert_error(&record, 400, -32600);
        assert_eq!(record.channel.as_deref(), Some("main"));
        assert_eq!(record.rpc()["id"], 1);
    }
    let record = between(&echo("odd").raw("channel", "7")).await;
    assert_error(&record, 400, -32600);
}

#[tokio::test]
async fn case_075_a_batch_is_answered_as_unparsable() {
    for payload in [r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "[]", r#""text""#, "17"] {
        let record = between(&odd(payload)).await;
        assert_error(&record, 400, -32700);
        assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "id"), "null");
    }
}

#[tokio::test]
async fn case_081_an_id_of_another_type_is_invalid() {
    for id in ["true", "{}", "[1]"] {
        let record = between(&Command::call("odd", id, "ping", "{}")).await;
        assert_error(&record, 400, -32600);
        assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "id"), "null");
    }
}

#[tokio::test]
async fn a_message_of_another_version_or_without_a_method_is_invalid() {
    for payload in [
        r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
        r#"{"id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":""}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":{}}"#,
    ] {
        let record = between(&odd(payload)).await;
        assert_error(&record, 400, -32600);
        assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "id"), "7", "for {payload}");
    }
}

#[tokio::test]
async fn a_response_as_a_command_is_invalid() {
    let record = between(&odd(r#"{"jsonrpc":"2.0","id":5,"result":{}}"#)).await;
    assert_error(&record, 400, -32600);
    let record = between(&odd(r#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"m"}}"#)).await;
    assert_error(&record, 400, -32600);
}

#[tokio::test]
async fn a_command_without_a_payload_is_invalid() {
    assert_error(&between(&echo("odd").without("jsonrpc")).await, 400, -32600);
    assert_error(&between(&echo("odd").raw("jsonrpc", "null")).await, 400, -32600);
}

#[tokio::test]
async fn the_end_of_no_session_is_400_without_a_body() {
    let text =
        r#"{"request_id":"odd","shard_token":"t","command_type":"session_termination","channel":"main"}"#;
    let world = batch(Plan::new(), &[text.to_owned(), echo("after").text()]).await;
    let record = answer(&world, "odd").await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("session_termination_response", 400));
    assert!(record.resp_json.is_none());
    assert_answered(&answer(&world, "after").await);
    assert_eq!(world.stub.request_count(), 1);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_085_headers_of_a_wrong_shape_are_answered_and_none_are_fine() {
    for headers in [r#"{"A":"x"}"#, r#"{"A":[1]}"#, "[]", r#""A: x""#, r#"{"A":null}"#] {
        let record = between(&echo("odd").raw("headers", headers)).await;
        assert_error(&record, 400, -32600);
        assert_eq!(record.rpc()["id"], 1);
    }
    let world = World::new().await;
    assert_answered(&world.call(echo("r1").raw("headers", "null")).await);
    assert_answered(&world.call(echo("r2").raw("headers", "{}")).await);
    assert_answered(&world.call(echo("r3")).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn a_member_given_twice_is_invalid() {
    let text = echo("odd").text();
    let twice = text.replacen('{', r#"{"jsonrpc":{"jsonrpc":"2.0","id":2,"method":"ping"},"#, 1);
    let world = batch(Plan::new(), &[twice]).await;
    let record = answer(&world, "odd").await;
    assert_error(&record, 400, -32600);
    assert_eq!(world.stub.request_count(), 0);
}

#[tokio::test]
async fn a_payload_nested_beyond_128_levels_is_invalid() {
    let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    let record = between(&Command::call("odd", "1", "ping", &deep(200))).await;
    assert_error(&record, 400, -32600);
    let world = World::new().await;
    let record = world.call(Command::call("r1", "1", "ping", &deep(100))).await;
    assert_eq!(record.resp_code, 200);
    world.plane.assert_clean();
}
