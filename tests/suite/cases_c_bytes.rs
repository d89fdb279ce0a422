//! Payloads keep their bytes in both directions.

use crate::cases::{answer, assert_answered, batch, echo, raw_member, tool};
use crate::lab::{Command, Reply};
use crate::world::{Plan, World};

/// Calls with this id and asserts that it comes back, and arrives, as it was written.
async fn keeps(ids: &[&str]) {
    let world = World::new().await;
    for (n, id) in ids.iter().enumerate() {
        let record = world.call(Command::call(&format!("r{n}"), id, "ping", "{}")).await;
        assert_eq!(record.resp_code, 200, "for {id}");
        assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "id"), *id);
        let arrived = world.stub.requests().pop().unwrap();
        assert_eq!(raw_member(arrived.text(), "id"), *id);
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_077_ids_come_back_as_they_were() {
    keeps(&[r#""abc""#, r#""""#, "0", "-5", "1", r#""ä\u0000\"""#]).await;
}

#[tokio::test]
async fn case_078_an_id_above_2_to_the_53_keeps_its_digits() {
    keeps(&["9007199254740993", "-9007199254740993", "123456789012345678901234567890"]).await;
}

#[tokio::test]
async fn case_079_fractions_and_exponents_stay_as_written() {
    keeps(&["1.5", "1e2", "1.0", "-0.0"]).await;
}

#[tokio::test]
async fn case_082_params_reach_the_server_unchanged() {
    let world = World::new().await;
    let arguments = r#"{"text":"x","a":1.0,"b":1e400,"c":12345678901234567890,"d":-0,"e":0.10,"f":"<\u0061&é>",  "g" : [ 1 ] }"#;
    world.plane.enqueue(tool("r1", "echo", arguments));
    assert_answered(&answer(&world, "r1").await);
    let sent = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
    );
    assert_eq!(world.stub.requests()[0].text(), sent);
    world.plane.assert_clean();
}

#[tokio::test]
async fn case_083_members_that_nobody_knows_are_forwarded_and_never_an_error() {
    let world = World::new().await;
    let payload = r#"{"jsonrpc":"2.0","later":{"x":1.0},"id":"q","method":"ping","params":{}}"#;
    let record = world.call(Command::jsonrpc("r1", payload)).await;
    assert_eq!((record.resp_code, record.rpc()["id"].as_str()), (200, Some("q")));
    assert_eq!(world.stub.requests()[0].text(), payload);
    // The same goes for the envelope.
    assert_answered(&world.call(echo("r2").raw("later", r#"{"deep":[1,{"a":null}]}"#)).await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn numbers_of_an_answer_keep_their_digits() {
    let world = World::new().await;
    let result = r#"{"a":1.0,"b":1e400,"c":12345678901234567890,"d":9007199254740993,"e":0.10}"#;
    world.stub.on_next(Reply::json(200, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)));
    let record = world.call(Command::call("r1", "1", "anything", "{}")).await;
    assert_eq!(raw_member(record.resp_json.as_deref().unwrap(), "result"), result);
    world.plane.assert_clean();
}

#[tokio::test]
async fn envelope_names_are_found_in_any_case_and_any_order() {
    let text = echo("r1")
        .text()
        .replace("\"request_id\"", "\"Request_ID\"")
        .replace("\"command_type\"", "\"COMMAND_TYPE\"");
    // The control plane must know the command by the ordinary spelling to judge the answer.
    let world = crate::cases::exact(
        Plan::new(),
        &[echo("r1").text()],
        1,
        Reply::json(200, crate::cases::body_of(&[text])),
    )
    .await;
    assert_answered(&answer(&world, "r1").await);
    world.plane.assert_clean();
}

#[tokio::test]
async fn spaces_between_members_of_a_body_change_nothing() {
    let all = [echo("r1").text(), echo("r2").text()];
    let body = format!(" \n{{ \"commands\" :\r\n [ {} ,\t{} ] , \"next\" : [1] }}\n ", all[0], all[1]);
    let world = crate::cases::exact(Plan::new(), &all, 1, Reply::json(200, body)).await;
    assert_answered(&answer(&world, "r1").await);
    assert_answered(&answer(&world, "r2").await);
    assert_eq!(world.agent.count("poll failed"), 0);
    world.plane.assert_clean();
}

#[tokio::test]
async fn commands_of_one_body_keep_apart() {
    let all: Vec<String> = (0..20).map(|n| echo(&format!("r{n}")).text()).collect();
    let world = batch(Plan::new(), &all).await;
    for n in 0..20 {
        let record = answer(&world, &format!("r{n}")).await;
        assert_eq!(record.rpc()["result"]["content"][0]["text"], format!("r{n}"));
    }
    world.plane.assert_clean();
}

#[tokio::test]
async fn an_id_of_null_is_none() {
    let world = World::new().await;
    let record = world.call(Command::call("n1", "null", "notifications/cancelled", "{}")).await;
    assert_eq!((record.resp_type.as_str(), record.resp_code), ("notify_ack", 202));
    let arrived = world.stub.requests().remove(0);
    assert!(!arrived.json().as_object().unwrap().contains_key("id"), "{}", arrived.text());
    world.plane.assert_clean();
}
