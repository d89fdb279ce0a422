//! Calls over stdio: side by side, one at a time, late, noisy, too large.

use std::time::{Duration, Instant};

use crate::agent::{SOON, kill};
use crate::calls::{Record, initialize, modern_tool, open, plan, tag, text_of, tool, tool_with};
use crate::lab::ResponseRecord;
use crate::world::{World, may_run_lab, stdio_stub};

async fn world(args: &str, more: &str) -> World {
    let world = plan().stdio(args, more).start().await;
    open(&world, "o").await;
    world
}

#[track_caller]
fn is_failure(answer: &ResponseRecord, source: &str, kind: &str) {
    assert_eq!((answer.resp_code, answer.failure_kind()), (502, (source.into(), kind.into())));
}

fn notes(world: &World, id: &str) -> usize {
    world.plane.responses_for(id).iter().filter(|r| !r.is_terminal()).count()
}

async fn arrived(world: &World, id: &str) -> Instant {
    world.plane.wait_for_response(id, SOON).await.seen.arrived
}

#[tokio::test]
async fn case_198_by_default_a_slow_call_does_not_block_the_next() {
    let world = world("", "").await;
    world.plane.enqueue(tool_with("slow", "1", "sleep", r#"{"ms":1500}"#));
    // The same id as the slow one: ids of the caller are no names among ours.
    let quick = world.call(tool_with("quick", "1", "echo", r#"{"text":"quick"}"#)).await;
    assert_eq!((text_of(&quick).as_str(), quick.rpc()["id"].as_i64()), ("quick", Some(1)));
    assert!(world.plane.responses_for("slow").is_empty(), "the quick call waited");
    assert_eq!(text_of(&world.plane.wait_for_response("slow", SOON).await), "slept");
    world.end().await;
}

#[tokio::test]
async fn case_198_199_serialized_calls_are_written_one_at_a_time_and_only_in_time() {
    let record = Record::new();
    let world = world(&record.flag(), ", serialize: true").await;
    world.plane.enqueue(tool("first", "sleep", r#"{"ms":900}"#));
    record.wait(&tag("first"), 1).await;
    world.plane.enqueue(tool("late", "echo", "{}").response_timeout("300ms"));
    world.plane.enqueue(tool("second", "echo", "{}"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((record.count(&tag("late")), record.count(&tag("second"))), (0, 0));
    assert!(arrived(&world, "first").await < arrived(&world, "second").await);
    assert_eq!((record.count(&tag("late")), record.count(&tag("second"))), (0, 1));
    assert!(world.plane.responses_for("late").is_empty());
    world.end().await;
}

#[tokio::test]
async fn case_201_stray_notifications_are_not_given_to_a_call_while_a_late_answer_is_due() {
    let world = world("--idle-flood 40", "").await;
    world.call(tool("alone", "sleep", r#"{"ms":400}"#)).await;
    assert!(notes(&world, "alone") > 0, "the only call in flight gets them");
    world.plane.enqueue(tool("expired", "silent", "{}").response_timeout("200ms"));
    tokio::time::sleep(Duration::from_millis(400)).await;
    world.call(tool("next", "sleep", r#"{"ms":400}"#)).await;
    assert_eq!(notes(&world, "next"), 0);
    world.end().await;
}

#[tokio::test]
async fn case_202_the_id_of_an_expired_call_is_good_for_another() {
    let record = Record::new();
    let world = world(&record.flag(), "").await;
    world.plane.enqueue(tool_with("r1", "7", "sleep", r#"{"ms":700}"#).response_timeout("250ms"));
    record.wait(&tag("r1"), 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // In flight when the late answer to the first arrives.
    let second = world.call(tool_with("r2", "7", "stream", r#"{"n":2,"interval_ms":500}"#)).await;
    assert_eq!((text_of(&second).as_str(), second.rpc()["id"].as_i64()), ("streamed", Some(7)));
    assert!(world.plane.responses_for("r1").is_empty());
    world.agent.logged(&["late answer"]).await;
    world.end().await;
}

#[tokio::test]
async fn case_205_206_207_banners_blank_lines_and_pieces_are_tolerated() {
    let banner = stdio_stub("--banner \"Welcome to the {server}\" --chatter \"\"");
    let pieces = stdio_stub("--partial --chatter \"[1, 2\"");
    let crlf = format!("sh -c \"{} | sed -u 's/$/\\\\r/'\"", stdio_stub("--chatter x"));
    let mut bindings = String::from("  commands:\n");
    for (channel, command) in [("main", banner), ("pieces", pieces), ("crlf", crlf)] {
        bindings += &format!("  - {{channel: {channel}, command: {command:?}{}}}\n", may_run_lab());
    }
    let world = plan().bindings(bindings).start().await;
    for channel in ["main", "pieces", "crlf"] {
        for n in 0..2 {
            let id = format!("{channel}{n}");
            let call = modern_tool(&id, "echo", &format!(r#"{{"text":"{id}"}}"#)).channel(channel);
            assert_eq!(text_of(&world.call(call).await), id);
        }
    }
    let skipped = world.agent.logged(&["skipped", "channel=main"]).await;
    assert!(skipped.contains("total=1") && !skipped.contains("Welcome"), "{skipped}");
    world.agent.logged(&["skipped", "channel=pieces", "total=2"]).await;
    world.end().await;
}

#[tokio::test]
async fn case_209_a_server_that_closes_its_stdin_or_ends_fails_its_calls_and_comes_back() {
    let world = plan()
        .bindings("  commands: [{command: \"sh -c 'read line; exec 0<&-; sleep 60'\"}]\n")
        .start()
        .await;
    is_failure(&world.call(initialize("r1")).await, "transport_closed", "closed_pipe");
    world.agent.logged(&["mcp child exited"]).await;
    world.end().await;

    let world = world_that_ends_in("resources/list").await;
    world.plane.enqueue(tool("silent", "silent", "{}"));
    let ends = crate::lab::Command::call("ends", "1", "resources/list", "{}");
    is_failure(&world.call(ends).await, "transport_closed", "eof");
    is_failure(&world.plane.wait_for_response("silent", SOON).await, "transport_closed", "eof");
    open(&world, "again").await;
    assert_eq!(text_of(&world.call(tool("after", "echo", r#"{"text":"back"}"#)).await), "back");
    world.end().await;
}

async fn world_that_ends_in(method: &str) -> World {
    world(&format!("--exit-on {method}"), "").await
}

#[tokio::test]
async fn case_210_a_server_that_never_reads_costs_only_the_deadlines_of_its_calls() {
    let stuck = stdio_stub("--ignore-stdin");
    let fine = stdio_stub("");
    let bindings = format!(
        "  commands:\n  - {{channel: main, command: {stuck:?}}}\n  - {{channel: fine, command: {fine:?}}}\n"
    );
    let world = plan().bindings(bindings).start().await;
    let big = format!(r#"{{"text":"{}"}}"#, "x".repeat(10 << 20));
    world.plane.enqueue(modern_tool("big", "echo", &big).response_timeout("2s"));
    world.plane.enqueue(modern_tool("next", "echo", "{}").response_timeout("2s"));
    let other = modern_tool("other", "echo", r#"{"text":"here"}"#).channel("fine");
    assert_eq!(text_of(&world.call(other).await), "here");
    world.agent.logged(&["command response deadline reached", "big"]).await;
    world.agent.logged(&["command response deadline reached", "next"]).await;
    let other = modern_tool("again", "echo", r#"{"text":"here"}"#).channel("fine");
    assert_eq!(text_of(&world.call(other).await), "here");
    assert!(world.plane.responses_for("big").is_empty() && world.plane.responses_for("next").is_empty());
    world.end().await;
}

#[tokio::test]
async fn case_211_a_server_that_asks_back_is_answered_and_still_answers() {
    for (method, expected) in [("ping", r#""result":{}"#), ("sampling/createMessage", r#""code":-32601"#)] {
        let world = world(&format!("--ask {method}"), "").await;
        let heard = text_of(&world.call(tool("r1", "echo", "{}")).await);
        assert!(heard.contains(expected), "{heard}");
        assert_eq!(world.plane.responses_for("r1").len(), 1, "the server's request was forwarded");
        world.end().await;
    }
}

#[tokio::test]
async fn case_213_a_call_that_is_too_old_fails_and_its_server_stays() {
    let world = plan().stdio("", "").mcp("connection_max_ttl: 500ms").start().await;
    open(&world, "o").await;
    let before = text_of(&world.call(tool("r1", "pid", "{}")).await);
    is_failure(&world.call(tool("r2", "sleep", r#"{"ms":60000}"#)).await, "timeout", "timeout");
    assert_eq!(text_of(&world.call(tool("r3", "pid", "{}")).await), before);
    world.end().await;
}

#[tokio::test]
async fn case_215_a_flood_on_stderr_blocks_nobody_and_is_logged_in_bounds() {
    let world = world("--stderr-flood 20000", "").await;
    for n in 0..3 {
        let id = format!("r{n}");
        assert_eq!(text_of(&world.call(tool(&id, "echo", &format!("{{\"text\":\"{id}\"}}"))).await), id);
    }
    world.agent.logged(&["too many lines", "lines_dropped"]).await;
    let logged = world.agent.count("much that nobody reads");
    assert!((1..2000).contains(&logged), "{logged} lines");
    world.end().await;
}

#[tokio::test]
async fn case_217_an_answer_has_code_200_and_one_header() {
    let world = world("", "").await;
    let answer = world.call(tool("r1", "echo", "{}").header("X-A", "1")).await;
    assert_eq!((answer.resp_code, answer.resp_type.as_str()), (200, "jsonrpc_response"));
    let headers: Vec<_> = answer.resp_headers.iter().map(|(n, v)| (n.as_str(), v.join(","))).collect();
    assert_eq!(headers, [("Content-Type", "application/json".to_owned())]);
    let progress = r#"{"name":"stream","_meta":{"progressToken":"mine"},"arguments":{"n":2}}"#;
    let call = crate::lab::Command::call("r2", "9007199254740993", "tools/call", progress);
    let answer = world.call(call).await;
    assert!(answer.resp_json.as_ref().unwrap().contains("\"id\":9007199254740993"));
    let all = world.plane.responses_for("r2");
    let tokens: Vec<_> = all[..2].iter().map(|r| r.rpc()["params"]["progressToken"].clone()).collect();
    assert_eq!((all.len(), tokens), (3, vec!["mine".into(), "mine".into()]));
    world.end().await;
}

#[tokio::test]
async fn a_cancellation_names_its_request_as_the_server_knows_it() {
    let record = Record::new();
    let world = world(&record.flag(), "").await;
    world.plane.enqueue(tool_with("r1", "\"mine\"", "silent", "{}").response_timeout("20s"));
    record.wait(&tag("r1"), 1).await;
    let cancel = |id: &str, request: &str| {
        let params = format!(r#"{{"requestId":{request}}}"#);
        let method = "notifications/cancelled";
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        crate::lab::Command::jsonrpc(id, text)
    };
    for (id, request) in [("n1", "\"other\""), ("n2", "\"mine\"")] {
        assert_eq!(world.call(cancel(id, request)).await.resp_type, "notify_ack");
    }
    record.wait("notifications/cancelled", 1).await;
    let json = |part: &str| -> serde_json::Value {
        let lines = record.lines();
        serde_json::from_str(&lines.iter().find(|(_, line)| line.contains(part)).unwrap().1).unwrap()
    };
    assert_eq!(json("notifications/cancelled")["params"]["requestId"], json(&tag("r1"))["id"]);
    assert_eq!(record.count("notifications/cancelled"), 1, "a request of nobody was cancelled");
    kill(world.agent.child_with("stub-stdio").unwrap(), "KILL");
    is_failure(&world.plane.wait_for_response("r1", SOON).await, "transport_closed", "eof");
    world.end().await;
}

#[tokio::test]
async fn many_calls_under_one_id_each_get_their_own_answer() {
    let world = world("", "").await;
    for n in 0..60 {
        let text = format!(r#"{{"text":"this is {n}"}}"#);
        world.plane.enqueue(tool_with(&format!("r{n}"), "1", "echo", &text));
    }
    for n in 0..60 {
        let answer = world.plane.wait_for_response(&format!("r{n}"), SOON).await;
        assert_eq!((text_of(&answer), answer.rpc()["id"].as_i64()), (format!("this is {n}"), Some(1)));
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_arrives_whole_up_to_the_bound_and_beyond_it_fails_alone() {
    let world = plan().stdio("", "").top("limits: {answer_bytes: 1048576}").start().await;
    open(&world, "o").await;
    let before = text_of(&world.call(tool("r1", "pid", "{}")).await);
    let whole = world.call(tool("r2", "big", r#"{"bytes":1000000}"#)).await;
    assert_eq!(text_of(&whole).len(), 1_000_000);
    let too_large = world.call(tool("r3", "big", r#"{"bytes":3000000}"#)).await;
    is_failure(&too_large, "protocol", "response_body_too_large");
    assert_eq!(text_of(&world.call(tool("r4", "pid", "{}")).await), before);
    world.end().await;
}

#[tokio::test]
async fn what_is_no_answer_is_skipped_and_a_second_answer_changes_nothing() {
    let kinds = [
        ("twice", "--duplicate"),
        ("wrong", "--wrong-id 4711"),
        ("garbage", "--garbage 9"),
        ("batch", "--batch"),
    ];
    let mut bindings = String::from("  commands:\n");
    for (channel, args) in kinds {
        bindings += &format!("  - {{channel: {channel}, command: {:?}}}\n", stdio_stub(args));
    }
    let plan = plan().bindings(bindings).mcp("connection_max_ttl: 1s");
    let world = plan.control("poll_channels: [batch, garbage, twice, wrong]").start().await;
    for (channel, _) in kinds {
        for n in 0..2 {
            world.plane.enqueue(modern_tool(&format!("{channel}{n}"), "echo", "{}").channel(channel));
        }
    }
    for (channel, _) in kinds {
        for n in 0..2 {
            let answer = world.plane.wait_for_response(&format!("{channel}{n}"), SOON).await;
            match channel {
                "twice" => assert_eq!(answer.resp_code, 200),
                _ => is_failure(&answer, "timeout", "timeout"),
            }
        }
    }
    for channel in ["garbage", "batch"] {
        world.agent.logged(&["skipped", &format!("channel={channel}"), "total=2"]).await;
    }
    for channel in ["twice", "wrong"] {
        world.agent.logged(&["no request of ours", &format!("channel={channel}"), "total=2"]).await;
    }
    world.end().await;
}
