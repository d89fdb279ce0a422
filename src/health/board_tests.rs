use serde_json::json;

use super::*;

fn status() -> Value {
    json!({
        "agent_version": "0.1.0", "started_at": 1_000_000, "uptime_seconds": 100_000, "since": 1_099_955,
        "counted_since_seconds": 75, "lifecycle": "running", "ready": false,
        "reasons": [{"code": "mcp_unreachable", "channel": "files", "text": "the server is gone"}],
        "control_plane": {"origin": "https://api.example", "seconds_since_success": 3, "polls": 9, "errors": 1},
        "channels": [
            {"name": "main", "kind": "http", "target": "https://a-host-with-a-long-name.example:8443", "reachable": true,
             "calls": 12, "errors": 0, "denied": 0, "p50_ms": 5, "p99_ms": 2500},
            {"name": "files", "kind": "stdio", "target": "", "reachable": false, "calls": 1, "errors": 1,
             "p50_ms": null, "p99_ms": null},
        ],
        "totals": {"calls": 13, "errors": 1, "denied": 2, "per_minute": 4},
        "recent": [{"time": "2026-11-26T03:04:05.678Z", "channel": "main", "method": "tools/call", "name": "echo",
                    "outcome": "answered", "ms": 7}],
        "children": [{"channel": "files", "state": "restarting", "restarts": 2}],
        "worker_restarts": 1, "reloads": {"done": 0, "refused": 0, "last_refusal": null},
        "audit": {"mode": "off"}, "policy": {"sha256": "none"},
        "confinement": {"broker": {"landlock_abi": 7, "seccomp_filters": 2},
                        "worker": {"landlock_abi": 7, "seccomp_filters": 3}, "violations": 0},
        "certificates": [{"of": "control_plane.client_cert", "not_after": 1_100_000 + 3 * 86_400 + 5}],
        "pin_mismatches": 0, "proxies": [{"proxy": "http://p:3128", "reachable": false}],
    })
}

#[test]
fn a_person_reads_the_worst_first_and_all_of_it_in_80_columns() {
    let lines = lines(&status());
    let expected = "\
NOT READY since 45 s; tunnelward 0.1.0, up 1 d 3 h
  ! the server is gone

control plane  https://api.example, answered 3 s ago; 9 polls, 1 failed
calls          4 in the last minute; 13 in 1 min 15 s, 1 failed, 2 denied

CHANNEL        KIND  TARGET                   STATE       CALLS FAILED  P50  P99
main           http  https://a-host-with-a-l~ reachable      12      0  5ms   3s
files          stdio -                        UNREACHABLE     1      1 >60s >60s

child          files: restarting, restarted 2 times
worker         restarted once; reloaded never, refused never
audit          off: no call is recorded
policy         none: everything may be called
confinement    Landlock 7/7, filters 2/3 (broker/worker); 0 violations
certificate    control_plane.client_cert: 3 days left
proxy          http://p:3128: UNREACHABLE

LAST CALLS
03:04:05 main         tools/call echo                      answered          7ms";
    assert_eq!(lines.join("\n"), expected);
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
}

#[test]
fn a_document_that_is_something_else_is_shown_as_far_as_it_can_be_and_ends() {
    for strange in
        [json!({}), json!([]), json!({"channels": {"a": 1}, "recent": [1, null, "x"], "ready": "yes"})]
    {
        let lines = lines(&strange);
        assert!(lines[0].starts_with("NOT READY since -; tunnelward -"), "{lines:?}");
    }
    let mut many = status();
    many["recent"] = vec![many["recent"][0].clone(); 10_000].into();
    many["reasons"][0]["text"] = "x".repeat(10_000).into();
    let lines = lines(&many);
    assert!(lines.len() < 80 && lines.iter().all(|line| line.len() < 320));
}

#[test]
fn times_are_said_in_two_units() {
    let spans = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_640_000].map(span);
    let expected =
        ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 d 0 h", "100 d 0 h"];
    assert_eq!(spans, expected);
}
