//! What a decision costs. Prints a figure; `scripts/bench-policy` runs it with the optimisation of the release.

use std::hint::black_box;
use std::time::Instant;

use super::*;

/// Decisions that are timed together, and how often: the fastest counts, for it was disturbed the least.
const ROUNDS: u32 = 1000;
const BATCHES: u64 = 30;

#[test]
fn a_decision_about_a_kibibyte_with_fifty_rules_is_timed() {
    let mut rules: Vec<String> = (0..49)
        .map(|n| {
            format!(r#"{{"id":"r{n}","channels":["main"],"tools":["tool_{n}_a","tool_{n}_b","tool_{n}_c"]}}"#)
        })
        .collect();
    rules.push(
        r#"{"id":"last","tools":["write_note"],"arguments":{"type":"object","required":["path","text"],"properties":{
            "path":{"type":"string","path_under":"/srv/notes"},"text":{"type":"string","maxLength":2000},
            "tag":{"type":"string","pattern":"^[a-z][a-z0-9-]{0,30}$"},"line":{"type":"integer","minimum":1},
            "kind":{"enum":["plain","list"]}}}}"#
            .into(),
    );
    let policy = policy(&format!(r#"{{"version":1,"rules":[{}]}}"#, rules.join(",")));
    assert_eq!(policy.rules.len(), 50);
    let head = r#"{"path":"/srv/notes/today.md","tag":"daily-notes","line":12,"kind":"plain","text":""#;
    let body = tool("write_note", &format!("{head}{}\"}}", "word ".repeat(160)));
    assert!((900..1100).contains(&body.len()), "{}", body.len());
    let headers = headers(&[("mcp-method", "tools/call"), ("mcp-name", "write_note")]);
    let mut state = State::default();
    let mut batch = |now| {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            let decision =
                policy.decide(black_box(&Call { channel: "main", body: body.as_bytes(), headers: &headers }));
            assert!(decision.allowed);
            let ticket = state.admit(&policy, "main", &decision, now).unwrap();
            state.release(black_box(ticket));
        }
        started.elapsed() / ROUNDS
    };
    let each = (0..BATCHES).map(&mut batch).min().unwrap();
    println!("policy: {} ns for a call of {} bytes with 50 rules", each.as_nanos(), body.len());
    // A bound that also a debug build on a loaded machine keeps; the goal is that of the script.
    assert!(each.as_micros() < 2000, "{each:?}");
}
