//! Every rule of every filter of the policy, one call at a time, in a process of its own for each: a call that a rule
//! speaks of gets the rule's verdict, and with each condition broken alone it gets the other.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use seccompiler::{TargetArch, compile_from_json};
use serde_json::{Value, json};

use crate::lab::attacker;
use crate::place::repository;

const SIGSYS: i32 = 31;
/// A call that waits has passed the filter.
const LONG_ENOUGH: Duration = Duration::from_secs(2);

struct Condition {
    index: usize,
    wide: bool,
    op: Value,
    val: u64,
}

impl Condition {
    fn of(json: &Value) -> Self {
        Self {
            index: usize::try_from(json["index"].as_u64().unwrap()).unwrap(),
            wide: json["type"] == "qword",
            op: json["op"].clone(),
            val: json["val"].as_u64().unwrap(),
        }
    }

    fn holds(&self, arguments: &[u64; 6]) -> bool {
        let cut = |n: u64| if self.wide { n } else { n & 0xffff_ffff };
        let (a, val) = (cut(arguments[self.index]), cut(self.val));
        match self.op.as_str() {
            Some("eq") => a == val,
            Some("ne") => a != val,
            Some("le") => a <= val,
            Some("lt") => a < val,
            Some("ge") => a >= val,
            Some("gt") => a > val,
            _ => a & self.op["masked_eq"].as_u64().expect("an operator that this test knows") == val,
        }
    }
}

impl Condition {
    /// Arguments one bit away from one that holds: each bit of a mask, and one of the half that only wide conditions
    /// look at.
    fn near(&self, holds: u64) -> Vec<u64> {
        let mask = self.op["masked_eq"].as_u64().unwrap_or(0) | if self.wide { 1 << 40 } else { 0 };
        (0..64).filter(|n| mask & (1 << n) != 0).map(|n| holds ^ (1 << n)).collect()
    }
}

struct Rule {
    syscall: String,
    conditions: Vec<Condition>,
}

impl Rule {
    fn of(json: &Value) -> Self {
        let conditions = json["args"].as_array().map(|list| list.iter().map(Condition::of).collect());
        Self { syscall: json["syscall"].as_str().unwrap().into(), conditions: conditions.unwrap_or_default() }
    }

    fn matches(&self, arguments: &[u64; 6]) -> bool {
        self.conditions.iter().all(|c| c.holds(arguments))
    }

    /// Arguments that it speaks of.
    fn matching(&self) -> [u64; 6] {
        let mut arguments = [0; 6];
        for c in &self.conditions {
            let fits = candidates(c.val).into_iter().find(|n| {
                arguments[c.index] = *n;
                self.conditions.iter().filter(|o| o.index == c.index).all(|o| o.holds(&arguments))
            });
            arguments[c.index] =
                fits.unwrap_or_else(|| panic!("no argument {} for {}", c.index, self.syscall));
        }
        arguments
    }
}

/// Numbers around one that a condition names.
fn candidates(val: u64) -> Vec<u64> {
    let bits = (0..32).map(|n| val ^ (1 << n));
    [val, val.wrapping_add(1), 7777, 3].into_iter().chain(bits).chain((0..32).map(|n| 1 << n)).collect()
}

/// The number of a call on this target, as the compiler of the policy knows it.
fn number(syscall: &str, arch: TargetArch) -> u32 {
    let filter =
        json!({"f": {"mismatch_action": "allow", "match_action": "trap", "filter": [{"syscall": syscall}]}});
    let compiled = compile_from_json(filter.to_string().as_bytes(), arch).unwrap();
    // The first comparison after the one of the architecture.
    compiled["f"].iter().filter(|i| i.code == 0x15).nth(1).expect("a comparison of the number").k
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Killed,
    Errno(i32),
    /// It waited, crashed, or ended the process in its own way.
    Other,
}

fn call(filter: &str, number: u32, arguments: &[u64; 6]) -> Outcome {
    let mut child = Command::new(attacker())
        .args(["rule", filter, &number.to_string()])
        .args(arguments.map(|a| a.to_string()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return match (status.signal(), status.code()) {
                (Some(SIGSYS), _) => Outcome::Killed,
                (None, Some(code)) => Outcome::Errno(code),
                _ => Outcome::Other,
            };
        }
        if begun.elapsed() > LONG_ENOUGH {
            child.kill().unwrap();
            child.wait().unwrap();
            return Outcome::Other;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn policy() -> (Value, TargetArch) {
    let (name, arch) = if cfg!(target_arch = "x86_64") {
        ("x86_64-unknown-linux-musl", TargetArch::x86_64)
    } else {
        ("aarch64-unknown-linux-musl", TargetArch::aarch64)
    };
    let text = std::fs::read_to_string(repository().join(format!("policy/seccomp/{name}.json"))).unwrap();
    (serde_json::from_str(&text).unwrap(), arch)
}

/// The filter's rules, and for each call of each the verdict that is due.
fn check(name: &str) -> (usize, usize) {
    let (policy, arch) = policy();
    let filter = &policy[name];
    let rules: Vec<Rule> = filter["filter"].as_array().unwrap().iter().map(Rule::of).collect();
    let denied = filter["match_action"]["errno"].as_i64().map(|n| i32::try_from(n).unwrap());
    assert!(
        denied.is_some() || filter["mismatch_action"] == "kill_process",
        "{name}: a verdict that this test knows"
    );
    let (mut matching, mut broken) = (0, 0);
    for rule in &rules {
        let number = number(&rule.syscall, arch);
        let arguments = rule.matching();
        let outcome = call(name, number, &arguments);
        match denied {
            Some(errno) => {
                assert_eq!(outcome, Outcome::Errno(errno), "{name}: {} {arguments:?}", rule.syscall)
            }
            None => assert_ne!(outcome, Outcome::Killed, "{name}: {} {arguments:?}", rule.syscall),
        }
        matching += 1;
        for condition in &rule.conditions {
            // Broken alone, and spoken of by no other rule.
            let alone = |n: &u64| {
                let mut arguments = arguments;
                arguments[condition.index] = *n;
                let others = rule.conditions.iter().filter(|c| c.index != condition.index);
                !condition.holds(&arguments)
                    && others.into_iter().all(|c| c.holds(&arguments))
                    && !rules.iter().filter(|r| r.syscall == rule.syscall).any(|r| r.matches(&arguments))
            };
            let one = candidates(condition.val).into_iter().find(alone);
            let near = condition.near(arguments[condition.index]).into_iter().filter(alone);
            let tries: BTreeSet<u64> = one.into_iter().chain(near).collect();
            // Whatever breaks it, another rule of the same call may speak of: then both deny, and nothing is left open.
            assert!(denied.is_some() || !tries.is_empty(), "{name}: no way to break {} alone", rule.syscall);
            for n in tries {
                let mut arguments = arguments;
                arguments[condition.index] = n;
                let outcome = call(name, number, &arguments);
                let due = match denied {
                    // What is not denied goes on as it would without the filter.
                    Some(_) => call("none", number, &arguments),
                    None => Outcome::Killed,
                };
                assert_eq!(outcome, due, "{name}: {} {arguments:x?}", rule.syscall);
                broken += 1;
            }
        }
    }
    (matching, broken)
}

#[test]
fn every_rule_of_the_workers_allowlist_lets_its_call_pass_and_kills_it_with_any_condition_broken() {
    let (matching, broken) = check("worker_allow");
    assert!(matching >= 60 && broken >= 60, "{matching} {broken}");
}

#[test]
fn the_worker_is_killed_for_a_call_without_a_rule() {
    let (_, arch) = policy();
    for syscall in [
        "execve",
        "kill",
        "ptrace",
        "unlinkat",
        "accept",
        "listen",
        "memfd_create",
        "io_uring_setup",
        "ioctl",
    ] {
        assert_eq!(call("worker_allow", number(syscall, arch), &[0; 6]), Outcome::Killed, "{syscall}");
    }
}

#[test]
fn every_rule_of_the_other_filters_denies_its_call_and_nothing_more() {
    for name in [
        "worker_errno",
        "broker_deny",
        "broker_enosys",
        "child_deny",
        "child_inet",
        "child_no_inet",
        "child_no_unix",
    ] {
        let (matching, _) = check(name);
        assert!(matching >= 1, "{name}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_by_its_x32_number_is_killed() {
    const X32: u32 = 0x4000_0000;
    let (_, arch) = policy();
    let number = number("getpid", arch);
    assert_eq!(call("no_x32", number | X32, &[0; 6]), Outcome::Killed);
    assert_eq!(call("no_x32", number, &[0; 6]), Outcome::Errno(0));
}
