//! `/metrics`: what Prometheus makes of it, and that nobody from outside can make it grow.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::agent::SOON;
use crate::asking::{self, get, json, plan, until};
use crate::calls::tool;
use crate::lab;

/// What `promtool check metrics` says, and how it ends: 0, 3 with remarks about style, 1 with errors.
fn promtool(text: &str) -> (Option<i32>, String) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is part of the package prometheus");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout),
    )
}

#[tokio::test]
async fn promtool_accepts_the_metrics() {
    let (code, said) = promtool("a_total{x=\"y} 1\n");
    assert_eq!(code, Some(1), "it finds what is wrong: {said}");
    let world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    world.call(tool("one", "echo", r#"{"text":"1"}"#)).await;
    let text = get(&world.agent, "/metrics").await.body;
    let (code, said) = promtool(&text);
    // The one name with another unit than seconds is that of tunnel-client.
    let remarks: Vec<&str> =
        said.lines().filter(|line| !line.starts_with("command_end_to_end_latency_milliseconds")).collect();
    assert!(matches!(code, Some(0 | 3)) && remarks.is_empty(), "{code:?} {said}\n{text}");
    for name in [
        "commands_polled_total 1",
        "commands_age_seconds_count 1",
        "commands_enqueued_total 1",
        "readiness 1",
        "liveness 1",
        "tunnelward_calls_total{channel=\"main\"} 1",
        "commands_poll_errors_total{error_kind=\"timeout\"} 0",
    ] {
        assert!(text.lines().any(|line| line == name), "{name} in\n{text}");
    }
    assert!(text.contains("commands_poll_last_successful_timestamp_seconds 1"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn a_peer_that_makes_up_methods_and_channels_adds_no_label() {
    let world = asking::world(plan("")).await;
    until(&world.agent, None).await;
    for n in 0..1000 {
        let id = format!("r{n}");
        let command =
            lab::Command::call(&id, &n.to_string(), &format!("made/up-{n}"), r#"{"name":"\u001b[2Jx"}"#);
        world.plane.enqueue(if n % 2 == 0 { command.channel(&format!("c{n}")) } else { command });
    }
    world.plane.wait_for_response("r998", SOON * 3).await;
    world.plane.wait_for_response("r999", SOON * 3).await;
    let text = get(&world.agent, "/metrics").await.body;
    assert!(!text.contains("made/up") && !text.contains("c998"), "{text}");
    assert!(text.contains("request_method=\"other\",channel=\"main\"") && text.contains("channel=\"other\""));
    assert!(text.lines().count() < 700, "{} lines", text.lines().count());
    assert_eq!(text.matches("command_end_to_end_latency_milliseconds_count").count(), 4, "{text}");
    let status = json(&world.agent, "/status").await;
    assert_eq!(status["recent"].as_array().unwrap().len(), 20);
    let recent = status["recent"][0].to_string();
    assert!(!recent.contains("\\u001b") && recent.contains("made/up"), "{recent}");
    world.plane.clear_faults();
    world.agent.stop().await;
}
