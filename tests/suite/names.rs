//! Names that only a name server knows, below the real filters: over UDP and TCP, over IPv4 and IPv6.

#![allow(clippy::disallowed_methods, reason = "only the agent has one place that starts processes")]

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::place;

/// Calls through the tunnel, with this name server. Returns what `tests/interop/names.py` found.
fn calls(name_server: &str, length: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let ran = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--net", "/usr/bin/python3"])
        .arg(place::repository().join("tests/interop/names.py"))
        .arg(place::agent())
        .arg(crate::lab::program())
        .arg(crate::agent::SOMEBODY.to_string())
        .arg(dir.path())
        .args([name_server, length])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let log = found["log"].as_str().unwrap();
    assert_eq!((&found["errors"], &found["exit"]), (&0.into(), &0.into()), "{log}");
    assert_eq!(log.matches("worker confined").count(), 1, "{log}");
    assert!(found["asked"]["udp"].as_u64().unwrap() >= 2, "{found}");
    found
}

#[test]
fn names_are_asked_for_over_udp() {
    for name_server in ["127.0.0.1", "::1"] {
        assert_eq!(calls(name_server, "short")["asked"]["tcp"], 0, "{name_server}");
    }
}

/// musl would connect by fast open, which is answered with an error here, since Landlock does not see it.
#[test]
fn an_answer_that_does_not_fit_into_udp_is_asked_for_over_tcp() {
    for name_server in ["127.0.0.1", "::1"] {
        assert!(calls(name_server, "long")["asked"]["tcp"].as_u64().unwrap() >= 2, "{name_server}");
    }
}
