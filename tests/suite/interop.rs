//! Real MCP servers and a real client: the same calls, made directly and through lab and agent, give the same results.
//!
//! `tests/interop/tunnel.py` makes the calls, in a network namespace of its own. It needs the packages that
//! `scripts/test` installs; without them these tests fail, they do not pass.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place;

const PREPARE: &str =
    "the interop packages are missing: run `scripts/test --prepare` and set TUNNELWARD_INTEROP as it says";

/// What comes first in a new network namespace.
const OWN_LOOPBACK: &str = "ip link set lo up && exec \"$@\"";

/// The same for an ordinary user, who stays one: what brought the interface up is given away again.
const OWN_LOOPBACK_AS_MYSELF: &str =
    "ip link set lo up && exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"";

/// The output of a run: for each client mode the steps of its calls, as text, which keeps every digit.
struct Outcome {
    direct: Vec<Vec<String>>,
    through: Vec<Vec<String>>,
}

fn installed() -> PathBuf {
    // The environment belongs to the tests here, not to the agent.
    #[allow(clippy::disallowed_methods, reason = "the place of the packages is told by the environment")]
    let place = std::env::var("TUNNELWARD_INTEROP").expect(PREPARE);
    let place = PathBuf::from(place);
    assert!(place.join("node/.stamp").is_file() && place.join("python/.stamp").is_file(), "{PREPARE}");
    place
}

fn run(scenario: &str) -> Outcome {
    let packages = installed();
    let agent = place::agent();
    let lab = agent.parent().unwrap().join("examples/lab");
    assert!(lab.is_file(), "the lab is not built: run `cargo build --example lab`");
    let driver = place::repository().join("tests/interop/tunnel.py");
    let enter: &[&str] = if place::shares_network() {
        &["env"]
    } else if rustix::process::geteuid().is_root() {
        &["unshare", "--net", "sh", "-c", OWN_LOOPBACK, "sh"]
    } else {
        &["unshare", "--net", "--map-current-user", "--keep-caps", "sh", "-c", OWN_LOOPBACK_AS_MYSELF, "sh"]
    };
    #[allow(clippy::disallowed_methods, reason = "only the agent has one place that starts processes")]
    let mut command = Command::new(enter[0]);
    let output = command
        .args(&enter[1..])
        .arg(packages.join("python/bin/python"))
        .arg(driver)
        .arg("--agent")
        .arg(agent)
        .arg("--lab")
        .arg(lab)
        .arg(scenario)
        .stdin(Stdio::null())
        .output()
        .expect("unshare is part of util-linux");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario}: {}\n{said}", output.status);
    let printed: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(printed["violations"], serde_json::json!([]), "the control plane saw broken promises");
    let runs = |name: &str| serde_json::from_value(printed[name].clone()).expect("a list of runs");
    Outcome { direct: runs("direct"), through: runs("through") }
}

/// Runs the scenario, compares step by step, and returns the steps of each client mode.
fn same(scenario: &str, modes: usize, least: usize) -> Vec<Vec<Value>> {
    let Outcome { direct, through } = run(scenario);
    assert_eq!(direct.len(), modes);
    assert_eq!(through.len(), modes);
    for (n, (direct, through)) in direct.iter().zip(&through).enumerate() {
        assert!(direct.len() >= least, "client {n} of {scenario} made {} steps only", direct.len());
        for (direct, through) in direct.iter().zip(through) {
            assert_eq!(direct, through, "client {n} of {scenario}: direct, then through the tunnel");
        }
        assert_eq!(direct.len(), through.len());
    }
    through.iter().map(|steps| steps.iter().map(|s| serde_json::from_str(s).unwrap()).collect()).collect()
}

/// The first step of that name.
fn step<'a>(steps: &'a [Value], name: &str) -> &'a Value {
    steps.iter().find(|s| s["step"] == name).unwrap_or_else(|| panic!("no step {name}"))
}

fn assert_progress(steps: &[Value], name: &str) {
    let done: Vec<f64> =
        step(steps, name)["progress"].as_array().unwrap().iter().map(|p| p[0].as_f64().unwrap()).collect();
    assert_eq!(done, [1.0, 2.0, 3.0, 4.0, 5.0], "every notification, in order, before the answer");
}

fn assert_everything(runs: &[Vec<Value>]) {
    let steps = &runs[0];
    assert_eq!(step(steps, "initialize")["result"]["serverInfo"]["name"], "mcp-servers/everything");
    assert!(step(steps, "tools/list")["result"]["tools"].as_array().unwrap().len() >= 12);
    assert!(step(steps, "tools/call echo")["result"]["content"][0]["text"].as_str().unwrap().contains("äöü"));
    assert_progress(steps, "tools/call trigger-long-running-operation with progress");
    assert_eq!(step(steps, "resources/read unknown")["error"]["code"], -32602);
}

#[test]
fn everything_over_stdio_answers_as_directly() {
    assert_everything(&same("everything-stdio", 1, 40));
}

#[test]
fn everything_over_stdio_answers_as_directly_to_a_client_that_probes_for_the_newer_era() {
    assert_everything(&same("everything-stdio-probed", 1, 40));
}

#[test]
fn everything_over_http_answers_as_directly_and_its_session_ends() {
    let runs = same("everything-http", 1, 40);
    assert_everything(&runs);
    let end = step(&runs[0], "end");
    assert_eq!(end["session"], true);
    assert_eq!(end["ended with"], 200);
    assert_eq!(end["status afterwards"], 400, "this server answers 400 in a session that has ended");
}

#[test]
fn everything_over_http_answers_as_directly_to_a_client_that_probes_for_the_newer_era() {
    assert_everything(&same("everything-http-probed", 1, 40));
}

fn assert_both_eras(runs: &[Vec<Value>]) {
    for (steps, version) in runs.iter().zip(["2025-11-25", "2026-07-28", "2026-07-28", "2025-11-25"]) {
        let first = if version == "2026-07-28" { "server/discover" } else { "initialize" };
        assert_eq!(step(steps, first)["version"], version);
        assert_progress(steps, "tools/call slow with progress");
        let sum = &step(steps, "tools/call add")["result"]["content"][0]["text"];
        assert_eq!(sum, "1000000000000009007199254740993", "numbers keep every digit");
    }
    // The third client asked `server/discover` itself; the second took the version for granted.
    assert!(step(&runs[2], "server/discover")["result"]["capabilities"]["tools"].is_object());
}

#[test]
fn the_python_sdk_over_stdio_answers_as_directly_in_both_eras() {
    assert_both_eras(&same("sdk-stdio", 4, 18));
}

#[test]
fn the_python_sdk_over_http_answers_as_directly_in_both_eras_and_its_session_ends() {
    let runs = same("sdk-http", 4, 18);
    assert_both_eras(&runs);
    let end = step(&runs[0], "end");
    assert_eq!(end["ended with"], 200);
    assert_eq!(end["status afterwards"], 404, "this server answers 404 in a session that has ended");
    assert_eq!(step(&runs[1], "end")["session"], false, "the newer era has no sessions");
}

#[test]
fn filesystem_over_stdio_answers_as_directly() {
    let runs = same("filesystem-stdio", 1, 18);
    assert_eq!(step(&runs[0], "tools/call write_file")["result"]["isError"], Value::Null);
}

#[test]
fn memory_over_stdio_answers_as_directly() {
    same("memory-stdio", 1, 12);
}

#[test]
fn time_over_stdio_answers_as_directly() {
    let runs = same("time-stdio", 1, 6);
    assert!(step(&runs[0], "tools/call convert_time")["result"]["structuredContent"]["target"].is_object());
}
