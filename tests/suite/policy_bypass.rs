//! What a caller may try to get past the call policy, through a real agent: of none of it the server hears anything.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::agent::SOON;
use crate::calls::{plan, text_of, tool};
use crate::lab::{Command, Fault, On, Reply};

/// Allows `echo`, `sleep` for one to ten milliseconds, and what lies below one URI.
const POLICY: &str = r#"policy: {version: 1, rules: [{id: handshake, methods: ["preset:session"]}, {id: talk, tools: [echo]}, {id: nap, tools: [sleep], arguments: {type: object, properties: {ms: {type: integer, minimum: 1, maximum: 10}}}}, {id: open, resources: ["doc://open/*"]}, {id: never, effect: deny, tools: [fail]}]}"#;

/// A `tools/call` with these raw parameters.
fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{params}}}"#)
}

/// The attempts, as messages.
fn attempts() -> Vec<String> {
    let mut attempts = Vec::new();
    // Letter case and look-alikes: Cyrillic, fullwidth, combining, zero width, a trailing NUL, spaces.
    for name in
        ["ECHO", "Echo", "\u{435}cho", "\u{ff45}cho", "e\u{301}cho", "echo\u{200b}", r"echo\u0000", " echo"]
    {
        attempts.push(call(&format!(r#"{{"name":"{name}","arguments":{{}}}}"#)));
    }
    // Escaped names, and members that are spelt in other letters.
    for params in [
        r#"{"name":"\u0066ail"}"#,
        r#"{"n\u0061me":"fail"}"#,
        r#"{"name":"\ud800"}"#,
        r#"{"NAME":"echo"}"#,
        r#"{"name":"echo","Name":"fail"}"#,
        r#"{"name":"echo","argument\u017f":{}}"#,
    ] {
        attempts.push(call(params));
    }
    // Keys given twice.
    for params in [
        r#"{"name":"echo","name":"fail"}"#,
        r#"{"name":"echo","n\u0061me":"fail"}"#,
        r#"{"name":"echo","arguments":{"text":"a","text":"b"}}"#,
    ] {
        attempts.push(call(params));
    }
    attempts.push(call(r#"{"name":"echo"},"params":{"name":"fail"}"#));
    attempts.push(call(r#"{"name":"echo"},"method":"tools/call""#));
    // Batches, one in another too.
    let echo = call(r#"{"name":"echo","arguments":{}}"#);
    attempts.extend([format!("[{echo}]"), format!("[[{echo}]]"), "[]".into()]);
    // Numbers at the edges of what is allowed, and of what a double holds.
    for ms in [
        "0",
        "11",
        "-1",
        "-0",
        "0.99999999999999999999",
        "10.00000000000000000001",
        "1e2",
        "1e400",
        "-1e400",
        "1e-400",
        "9007199254740993",
        "1.5",
        "\"5\"",
        "[5]",
        "null",
        "1e99999999999",
    ] {
        attempts.push(call(&format!(r#"{{"name":"sleep","arguments":{{"ms":{ms}}}}}"#)));
    }
    // URIs in another spelling than their own.
    for uri in [
        "%2e%2e/x",
        ".%2e/x",
        "../x",
        "..%2fx",
        "%252e%252e/x",
        "a/../../x",
        "..;/x",
        r"a\u0000",
        "a%00",
        "a//b",
    ] {
        let params = format!(r#"{{"uri":"doc://open/{uri}"}}"#);
        attempts.push(call(&params).replace("tools/call", "resources/read"));
    }
    // Another method, another kind of message.
    for method in
        ["tools/CALL", "tools/call ", r"tools\/list\u0000", "resources/read", "completion/complete", "x"]
    {
        attempts.push(call(r#"{"name":"echo","arguments":{}}"#).replace("tools/call", method));
    }
    // A request without an id, or with one that says nothing.
    attempts.push(echo.replace(r#""id":"x","#, ""));
    attempts.push(echo.replace(r#""id":"x""#, r#""id":null"#));
    attempts.push(echo.replace("tools/call", "notifications/initialized"));
    // Size and depth.
    attempts.push(call(&format!(r#"{{"name":"{}"}}"#, "x".repeat(10 << 20))));
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    attempts.push(call(&format!(r#"{{"name":"echo","arguments":{{"a":{deep}}}}}"#)));
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_caller_tries_the_server_hears_nothing_of_it() {
    let world = plan().top(POLICY).start().await;
    let attempts = attempts();
    assert!(attempts.len() > 50, "{}", attempts.len());
    for (n, attempt) in attempts.iter().enumerate() {
        let id = format!("r{n}");
        world.plane.enqueue(Command::jsonrpc(&id, attempt));
        let answer = world.plane.wait_for_response(&id, SOON).await;
        let shown: String = attempt.chars().take(200).collect();
        // A refusal, a message that is none, or the acknowledgement of a notification that went nowhere.
        let text = String::from_utf8_lossy(&answer.raw).into_owned();
        let refused = ["-32050", "-32600", "-32700"].iter().any(|code| text.contains(code));
        assert!(refused || answer.resp_type == "notify_ack", "{shown}: {text}");
        assert!(text.len() < 2000, "{shown}: nothing is repeated");
    }
    // Headers that say something else than the body.
    for (n, (name, value)) in [
        ("Mcp-Name", "sleep"),
        ("Mcp-Name", "ECHO"),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "TOOLS/CALL"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = world.call(tool(&format!("h{n}"), "echo", r#"{"text":"x"}"#).header(name, value)).await;
        assert_eq!(answer.rpc()["error"]["data"]["rule"], "policy.header-mismatch", "{name}: {value}");
    }
    assert_eq!(world.stub.request_count(), 0);
    // What is allowed reaches it all the same.
    assert_eq!(text_of(&world.call(tool("good", "echo", r#"{"text":"x"}"#)).await), "x");
    assert_eq!(text_of(&world.call(tool("nap", "sleep", r#"{"ms":1}"#)).await), "slept");
    assert_eq!(world.stub.request_count(), 2);

    // Bytes that are no UTF-8, which no command that was read can have.
    let command = tool("bytes", "echo", r#"{"text":"?"}"#).text();
    let mut body = format!(r#"{{"commands":[{command}]}}"#).into_bytes();
    let at = body.iter().position(|b| *b == b'?').unwrap();
    body[at] = 0xff;
    let reply = Reply::status(200).header("Content-Type", "application/json").data(body);
    let polls = world.plane.poll_count();
    world.plane.fault(Fault { times: 1, ..Fault::reply(On::Poll, reply) });
    // The first ends the poll that is outstanding; the next poll brings those bytes, and one after it the second.
    for id in ["before", "after"] {
        assert_eq!(text_of(&world.call(tool(id, "echo", r#"{"text":"x"}"#)).await), "x");
    }
    assert!(world.plane.poll_count() >= polls + 2);
    assert_eq!(world.stub.request_count(), 4);
    world.agent.stop().await;
}

/// A tool that is nearly one of those that the policy knows, or just that, and a number about the bounds that it sets.
fn nearly() -> impl Strategy<Value = (String, i64)> {
    let known = prop::sample::select(vec!["echo", "sleep", "fail", "big"]).prop_map(str::to_owned);
    (prop_oneof![2 => known, 1 => "[eE]ch[o0].?|[sS]leep?[a-z]?|fai[lL]|[a-z]{1,5}"], -3..15_i64)
}

#[tokio::test]
async fn of_any_calls_the_server_hears_those_that_are_allowed_and_no_other() {
    let world = plan().top(POLICY).start().await;
    let (mut runner, nearly) = (TestRunner::default(), nearly());
    let mut heard = 0;
    for n in 0..200 {
        let (name, ms) = nearly.new_tree(&mut runner).unwrap().current();
        let (allowed, arguments) = match name.as_str() {
            "echo" => (true, r#"{"text":"x"}"#.into()),
            "sleep" => ((1..=10).contains(&ms), format!(r#"{{"ms":{ms}}}"#)),
            _ => (false, r#"{"text":"x"}"#.into()),
        };
        let quoted = serde_json::to_string(&name).unwrap();
        let spelled = &quoted[1..quoted.len() - 1];
        let answer = world.call(tool(&format!("p{n}"), spelled, &arguments)).await;
        heard += usize::from(allowed);
        assert_eq!(world.stub.request_count(), heard, "{name} {arguments}");
        assert_eq!(answer.rpc()["error"]["code"] == -32050, !allowed, "{name} {arguments}");
    }
    assert!((1..200).contains(&heard), "{heard}");
    world.end().await;
}
