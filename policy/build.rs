//! Compiles the system-call policy of the target, `policy/seccomp/<triple>.json`, into tables that are part of the
//! binary. A policy that is not exactly as it should be, or a target without one, is an error of the build: there is
//! no build without filters.

#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a build script fails by panicking and is told its target by the environment"
)]

use std::fmt::Write as _;
use std::path::Path;

use seccompiler::{BpfProgram, TargetArch, compile_from_json};

/// The filters that must be there, no more and no fewer.
const FILTERS: [&str; 8] = [
    "broker_deny",
    "broker_enosys",
    "child_deny",
    "child_inet",
    "child_no_inet",
    "child_no_unix",
    "worker_allow",
    "worker_errno",
];

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    let arch = match target.as_str() {
        "x86_64-unknown-linux-musl" => TargetArch::x86_64,
        "aarch64-unknown-linux-musl" => TargetArch::aarch64,
        other => panic!("no system-call policy for the target {other}: build for *-unknown-linux-musl"),
    };
    let file = format!("policy/seccomp/{target}.json");
    println!("cargo:rerun-if-changed={file}");
    println!("cargo:rerun-if-changed=policy/build.rs");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"));
    check(&file, &text);
    let mut programs = compile_from_json(text.as_bytes(), arch).unwrap_or_else(|e| panic!("{file}: {e}"));

    let mut source = String::new();
    for name in FILTERS {
        let program = programs.remove(name).unwrap_or_else(|| panic!("{file}: the filter {name} is missing"));
        table(&mut source, name, &program);
    }
    if let Some(unknown) = programs.keys().next() {
        panic!("{file}: there is no role for the filter {unknown}");
    }
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    std::fs::write(Path::new(&out).join("seccomp.rs"), source).unwrap_or_else(|e| panic!("{out}: {e}"));
}

/// What seccompiler does not insist on: a reason for every rule and every condition, and the order of the names.
fn check(file: &str, text: &str) {
    let policy: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
    let filters = policy.as_object().unwrap_or_else(|| panic!("{file}: not an object"));
    for (name, filter) in filters {
        let rules = filter["filter"].as_array().unwrap_or_else(|| panic!("{file}: {name} has no rules"));
        let mut last = "";
        for rule in rules {
            let syscall = rule["syscall"].as_str().unwrap_or_default();
            assert!(syscall >= last, "{file}: {name}: {syscall} does not stand in its place");
            last = syscall;
            let conditions = rule["args"].as_array().map(Vec::as_slice).unwrap_or_default();
            for part in std::iter::once(rule).chain(conditions) {
                let reason = part["comment"].as_str().unwrap_or_default();
                assert!(!reason.trim().is_empty(), "{file}: {name}: {syscall} has no reason");
            }
        }
    }
}

fn table(source: &mut String, name: &str, program: &BpfProgram) {
    let _ = writeln!(source, "static {}: [sock_filter; {}] = [", name.to_uppercase(), program.len());
    for i in program {
        let _ = writeln!(
            source,
            "    sock_filter {{ code: {}, jt: {}, jf: {}, k: {} }},",
            i.code, i.jt, i.jf, i.k
        );
    }
    source.push_str("];\n");
}
