//! A rule of the worker's allowlist that nobody needs is one that an attacker might.

use serde_json::Value;

use crate::place::repository;

fn read(name: &str) -> Value {
    let text = std::fs::read_to_string(repository().join("policy/seccomp").join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A rule without its reasons.
fn bare(rule: &Value) -> Value {
    let mut conditions = rule["args"].as_array().cloned().unwrap_or_default();
    for condition in &mut conditions {
        condition.as_object_mut().unwrap().remove("comment");
    }
    serde_json::json!({"syscall": rule["syscall"], "args": conditions})
}

#[test]
fn every_rule_of_the_workers_allowlist_was_used_in_the_recording_or_says_why_it_is_kept() {
    let policy = read("x86_64-unknown-linux-musl.json");
    let recorded = read("recorded-x86_64-unknown-linux-musl.json");
    let recorded = recorded.as_array().unwrap();
    assert!(recorded.len() > 30, "{} rules recorded", recorded.len());
    for rule in policy["worker_allow"]["filter"].as_array().unwrap() {
        let kept = rule["comment"].as_str().unwrap().starts_with("Keep: ");
        assert!(kept || recorded.contains(&bare(rule)), "neither used nor kept: {rule}");
    }
}
