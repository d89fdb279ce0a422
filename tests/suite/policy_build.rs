//! The build takes the policies as they are, and refuses everything that would make one say less than it seems to.

use serde_json::{Value, json};

#[path = "../../policy/build.rs"]
#[allow(dead_code, reason = "its main is cargo's, not ours")]
mod build;

const X86_64: &str = "x86_64-unknown-linux-musl";
const AARCH64: &str = "aarch64-unknown-linux-musl";

fn text(target: &str) -> String {
    let path = crate::place::repository().join(format!("policy/seccomp/{target}.json"));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_digest_of_the_filters_is_that_of_the_policy() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let source = build::compile(X86_64, &text(X86_64)).unwrap();
    let mut bytes = Vec::new();
    // The tables are in the order of their names, but for the one that is no filter of the policy.
    let mut tables: Vec<&str> = source.split("pub(super) static ").skip(1).collect();
    tables.sort_unstable();
    for table in tables {
        bytes.extend(table.split(':').next().unwrap().to_lowercase().bytes().chain([0]));
        for line in table.lines().filter(|line| line.contains("sock_filter {")) {
            let number = |name: &str| {
                let rest = line.split_once(&format!("{name}: ")).unwrap().1;
                let text = rest.split([',', ' ']).next().unwrap();
                text.strip_prefix("0x")
                    .map_or_else(|| text.parse(), |hex| u32::from_str_radix(hex, 16))
                    .unwrap()
            };
            bytes.extend(u16::try_from(number("code")).unwrap().to_le_bytes());
            bytes.extend(["jt", "jf"].map(|name| u8::try_from(number(name)).unwrap()));
            bytes.extend(number(" k").to_le_bytes());
        }
    }
    assert_eq!(tunnelward::policy::sha256_hex(&bytes), tunnelward::confine::seccomp::digest());
}

/// What the build says of the policy after a change.
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut policy: Value = serde_json::from_str(&text(X86_64)).unwrap();
    change(&mut policy);
    build::compile(X86_64, &policy.to_string()).unwrap_err()
}

/// What it says with these rules in the worker's allowlist.
fn refusal_of_rules(rules: Value) -> String {
    refusal(|policy| policy["worker_allow"]["filter"] = rules)
}

#[test]
fn the_policies_of_both_targets_are_compiled_and_only_x86_64_has_x32() {
    let x86 = build::compile(X86_64, &text(X86_64)).unwrap();
    let arm = build::compile(AARCH64, &text(AARCH64)).unwrap();
    for table in ["WORKER_ALLOW", "WORKER_ERRNO", "BROKER_DENY", "BROKER_ENOSYS", "CHILD_DENY", "CHILD_INET"]
    {
        let table = format!("static {table}: &[sock_filter] = &[");
        assert!(x86.contains(&table) && arm.contains(&table), "{table}");
    }
    assert!(x86.contains("NO_X32") && !arm.contains("NO_X32"));
}

#[test]
fn a_policy_of_another_architecture_is_refused() {
    let wrong = build::compile(AARCH64, &text(X86_64)).unwrap_err();
    assert!(wrong.contains("Invalid syscall name"), "{wrong}");
    let unknown = build::compile("riscv64gc-unknown-linux-musl", &text(X86_64)).unwrap_err();
    assert!(unknown.contains("riscv64gc-unknown-linux-musl is not known"), "{unknown}");
}

#[test]
fn exactly_the_known_filters_are_taken() {
    let missing = refusal(|policy| drop(policy.as_object_mut().unwrap().remove("child_no_unix")));
    assert_eq!(missing, "the filter child_no_unix is missing");
    let more = refusal(|policy| policy["debug"] = policy["worker_allow"].clone());
    assert_eq!(more, "the filter debug is not known");
    let twice = text(X86_64).replacen("\"child_inet\"", "\"child_deny\"", 1);
    assert!(build::compile(X86_64, &twice).unwrap_err().contains("duplicate filter key"));
    let empty = refusal(|policy| policy["broker_deny"]["filter"] = json!([]));
    assert_eq!(empty, "broker_deny: there are no rules");
}

#[test]
fn no_filter_can_be_made_to_do_something_milder() {
    for (filter, member, action) in [
        ("worker_allow", "mismatch_action", json!("log")),
        ("worker_allow", "mismatch_action", json!("kill_thread")),
        ("worker_allow", "mismatch_action", json!({"errno": 1})),
        ("broker_deny", "match_action", json!("log")),
        ("broker_deny", "match_action", json!({"errno": 0})),
        ("broker_enosys", "match_action", json!({"errno": 1})),
        ("child_deny", "mismatch_action", json!("log")),
    ] {
        let told = refusal(|policy| policy[filter][member] = action.clone());
        assert!(told.starts_with(&format!("{filter}: {member} is not ")), "{action}: {told}");
    }
    // seccompiler knows other names for the two.
    let alias = text(X86_64).replacen("mismatch_action", "default_action", 1);
    assert!(build::compile(X86_64, &alias).unwrap_err().contains("mismatch_action is not"));
}

#[test]
fn each_rule_and_each_condition_has_a_reason() {
    for comment in [json!(""), json!("  "), json!("Keep:"), json!("Keep: "), Value::Null] {
        let told = refusal_of_rules(json!([{"syscall": "read", "comment": comment}]));
        assert!(told.starts_with("worker_allow: read: "), "{told}");
    }
    let condition = json!({"index": 0, "type": "dword", "op": "eq", "val": 1});
    let told = refusal_of_rules(json!([{"syscall": "read", "comment": "reads", "args": [condition]}]));
    assert_eq!(told, "worker_allow: read: a condition: no comment");
}

#[test]
fn rules_are_sorted_and_none_hides_another() {
    let read = json!({"syscall": "read", "comment": "reads"});
    let close = json!({"syscall": "close", "comment": "closes"});
    let narrow = json!({"syscall": "read", "comment": "reads", "args": [
        {"index": 0, "type": "dword", "op": "eq", "val": 1, "comment": "one"}]});
    let mut narrow_again = narrow.clone();
    narrow_again["comment"] = "reads again".into();
    assert_eq!(refusal_of_rules(json!([read, close])), "worker_allow: close stands after read");
    for rules in [json!([read, narrow]), json!([narrow, read]), json!([read, read])] {
        let told = refusal_of_rules(rules);
        assert_eq!(told, "worker_allow: read: there are rules beside one without conditions");
    }
    let told = refusal_of_rules(json!([narrow, narrow_again]));
    assert!(told.starts_with("worker_allow: a rule stands twice"), "{told}");
}

#[test]
fn what_the_compiler_of_filters_refuses_is_refused() {
    for rule in [
        json!({"syscall": "no_such_call", "comment": "x"}),
        json!({"syscall": "read", "comment": "x", "args": []}),
        json!({"syscall": "read", "comment": "x", "arg": []}),
        json!({"syscall": "read", "comment": "x", "args": [
            {"index": 6, "type": "dword", "op": "eq", "val": 1, "comment": "x"}]}),
        json!({"syscall": "read", "comment": "x", "args": [
            {"index": 0, "type": "word", "op": "eq", "val": 1, "comment": "x"}]}),
    ] {
        assert!(!refusal_of_rules(json!([rule])).contains('\n'), "{rule}");
    }
}
