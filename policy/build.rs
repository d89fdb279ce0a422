//! Compiles the system-call policy of the target into tables of BPF instructions, deflates the long texts of the help, and
//! notes what the binary is built from. Runs when the agent is built, and writes nothing that another build of the same
//! commit by the same toolchain would not.
//!
//! A policy that is not exactly what the agent expects is a build error, and so is a target without one: no profile,
//! feature or variable leaves a filter out. What the filters mean is said in `policy/README.md`.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use seccompiler::{BpfMap, TargetArch, sock_filter};
use serde_json::{Value, json};

/// What a filter does with a call: where no rule matches, and where one does.
struct Actions {
    mismatch: Value,
    matching: Value,
}

/// The filters that a policy consists of, by name, and what each of them does.
fn expected() -> BTreeMap<&'static str, Actions> {
    let refusing = |errno: i32| Actions { mismatch: json!("allow"), matching: json!({ "errno": errno }) };
    const EPERM: i32 = 1;
    const EACCES: i32 = 13;
    const ENOSYS: i32 = 38;
    const ENOPROTOOPT: i32 = 92;
    BTreeMap::from([
        ("broker_deny", refusing(EPERM)),
        ("broker_enosys", refusing(ENOSYS)),
        ("child_deny", refusing(EPERM)),
        ("child_inet", refusing(EACCES)),
        ("child_no_inet", refusing(EACCES)),
        ("child_no_unix", refusing(EACCES)),
        ("worker_allow", Actions { mismatch: json!("kill_process"), matching: json!("allow") }),
        ("worker_errno", refusing(ENOPROTOOPT)),
    ])
}

/// Kills whoever makes a call of the x32 ABI. Its numbers are those of x86_64 with one bit more, and its architecture
/// is the same, so a filter that names what is forbidden would let all of it pass.
const NO_X32: [(u16, u8, u8, u32); 4] = [
    (0x20, 0, 0, 0),           // load the number of the call
    (0x35, 0, 1, 0x4000_0000), // jump if it is at least __X32_SYSCALL_BIT
    (0x06, 0, 0, 0x8000_0000), // SECCOMP_RET_KILL_PROCESS
    (0x06, 0, 0, 0x7fff_0000), // SECCOMP_RET_ALLOW
];

/// How many instructions the kernel takes in one program (BPF_MAXINSNS).
const MOST_INSTRUCTIONS: usize = 4096;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=policy/build.rs");
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={problem}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let target = variable("TARGET")?.into_string().map_err(|_| "TARGET is not UTF-8")?;
    let file = format!("policy/seccomp/{target}.json");
    println!("cargo::rerun-if-changed={file}");
    let text = std::fs::read_to_string(&file)
        .map_err(|e| format!("there is no system-call policy for the target {target}: {file}: {e}"))?;
    let tables = compile(&target, &text).map_err(|problem| format!("{file}: {problem}"))?;
    let out = variable("OUT_DIR")?;
    write(&Path::new(&out).join("seccomp.rs"), tables.as_bytes())?;
    for text in TEXTS {
        println!("cargo::rerun-if-changed={text}");
        let name = Path::new(text).with_extension("deflate");
        let packed = std::fs::read_to_string(text).map_err(|e| e.to_string()).and_then(|text| pack(&text));
        let packed = packed.map_err(|problem| format!("{text}: {problem}"))?;
        write(&Path::new(&out).join(name.file_name().unwrap_or_default()), &packed)?;
    }
    facts(&target)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()))
}

/// The texts that are stored deflated, for `src/config/packed.rs`, and how long one may be.
const TEXTS: [&str; 2] = ["src/config/settings.txt", "src/commands/topics.txt"];
const LONGEST_TEXT: usize = 64 * 1024;

fn pack(text: &str) -> Result<Vec<u8>, String> {
    if text.len() >= LONGEST_TEXT {
        return Err(format!("{} bytes, and {LONGEST_TEXT} are the most", text.len()));
    }
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(text.as_bytes()).and_then(|()| packer.finish()).map_err(|e| e.to_string())
}

/// What `version --json` tells of the build. The commit is told by whoever builds: no directory is asked for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the compiler is asked for its version; nothing here is the agent"
)]
fn facts(target: &str) -> Result<(), String> {
    println!("cargo::rerun-if-env-changed=TUNNELWARD_COMMIT");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let commit = variable("TUNNELWARD_COMMIT").ok().and_then(|c| c.into_string().ok()).unwrap_or_default();
    let legal = commit.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let commit = if commit.is_empty() || !legal { "unknown" } else { commit.as_str() };
    let rustc = std::process::Command::new(variable("RUSTC")?).arg("--version").output();
    let rustc = rustc.map_err(|e| format!("rustc: {e}"))?.stdout;
    let lock = std::fs::read_to_string("Cargo.lock").map_err(|e| format!("Cargo.lock: {e}"))?;
    let level = variable("OPT_LEVEL")?;
    println!("cargo::rustc-env=TUNNELWARD_COMMIT={commit}");
    println!("cargo::rustc-env=TUNNELWARD_TARGET={target}");
    println!("cargo::rustc-env=TUNNELWARD_RUSTC={}", one_line(&String::from_utf8_lossy(&rustc)));
    println!("cargo::rustc-env=TUNNELWARD_OPT_LEVEL={}", level.to_string_lossy());
    for (name, package) in [("RUSTLS", "rustls"), ("AWS_LC_RS", "aws-lc-rs")] {
        let version = locked(&lock, package).ok_or_else(|| format!("Cargo.lock has no {package}"))?;
        println!("cargo::rustc-env=TUNNELWARD_{name}={version}");
    }
    Ok(())
}

/// The version of a package in the lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    rest.split('"').next()
}

fn variable(name: &str) -> Result<OsString, String> {
    std::env::var_os(name).ok_or_else(|| format!("cargo has not set {name}"))
}

/// The Rust source of the tables of a policy.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn compile(target: &str, text: &str) -> Result<String, String> {
    let (arch, x32) = match target.split('-').next() {
        Some("x86_64") => (TargetArch::x86_64, true),
        Some("aarch64") => (TargetArch::aarch64, false),
        _ => return Err(format!("the architecture of {target} is not known")),
    };
    // Names, operators and unknown or repeated members.
    let programs =
        seccompiler::compile_from_json(text.as_bytes(), arch).map_err(|e| one_line(&e.to_string()))?;
    let policy: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    check(&policy)?;
    tables(&programs, x32)
}

/// What the compiler of filters does not mind.
fn check(policy: &Value) -> Result<(), String> {
    let expected = expected();
    let filters = policy.as_object().ok_or("not an object")?;
    if let Some(name) = filters.keys().find(|name| !expected.contains_key(name.as_str())) {
        return Err(format!("the filter {name} is not known"));
    }
    for (name, actions) in expected {
        let filter = filters.get(name).ok_or_else(|| format!("the filter {name} is missing"))?;
        let wrong = |what: String| format!("{name}: {what}");
        // Under the names that seccompiler calls aliases, an action would not be found here.
        if filter.get("mismatch_action") != Some(&actions.mismatch) {
            return Err(wrong(format!("mismatch_action is not {}", actions.mismatch)));
        }
        if filter.get("match_action") != Some(&actions.matching) {
            return Err(wrong(format!("match_action is not {}", actions.matching)));
        }
        let rules = filter.get("filter").and_then(Value::as_array).filter(|rules| !rules.is_empty());
        check_rules(rules.ok_or_else(|| wrong("there are no rules".into()))?).map_err(wrong)?;
    }
    Ok(())
}

fn check_rules(rules: &[Value]) -> Result<(), String> {
    let mut before: Option<(&str, bool)> = None;
    for rule in rules {
        let syscall = rule.get("syscall").and_then(Value::as_str).unwrap_or_default();
        let conditions = rule.get("args").and_then(Value::as_array);
        check_comment(rule).map_err(|what| format!("{syscall}: {what}"))?;
        for condition in conditions.into_iter().flatten() {
            check_comment(condition).map_err(|what| format!("{syscall}: a condition: {what}"))?;
        }
        match before {
            Some((last, _)) if last > syscall => return Err(format!("{syscall} stands after {last}")),
            // The compiler drops a rule without conditions when another one for the same call has some.
            Some((last, conditional)) if last == syscall && !(conditional && conditions.is_some()) => {
                return Err(format!("{syscall}: there are rules beside one without conditions"));
            }
            _ => {}
        }
        before = Some((syscall, conditions.is_some()));
    }
    match rules.iter().enumerate().find(|(n, rule)| {
        rules
            .iter()
            .take(*n)
            .any(|r| r.get("args") == rule.get("args") && r.get("syscall") == rule.get("syscall"))
    }) {
        Some((_, rule)) => Err(format!("a rule stands twice: {rule}")),
        None => Ok(()),
    }
}

fn check_comment(part: &Value) -> Result<(), String> {
    match part.get("comment").and_then(Value::as_str).map(str::trim) {
        None | Some("") => Err("no comment".into()),
        Some("Keep:") => Err("the comment gives no reason".into()),
        Some(_) => Ok(()),
    }
}

fn tables(programs: &BpfMap, x32: bool) -> Result<String, String> {
    let mut source = String::from("// Written by policy/build.rs.\n\n");
    let names: BTreeMap<&str, &Vec<sock_filter>> = programs.iter().map(|(n, p)| (n.as_str(), p)).collect();
    for (name, program) in names {
        if program.len() > MOST_INSTRUCTIONS {
            return Err(format!(
                "{name}: {} instructions, and the kernel takes {MOST_INSTRUCTIONS}",
                program.len()
            ));
        }
        let parts = program.iter().map(|i| (i.code, i.jt, i.jf, i.k));
        table(&mut source, name, parts);
    }
    if x32 {
        table(&mut source, "no_x32", NO_X32.into_iter());
    }
    Ok(source)
}

fn table(source: &mut String, name: &str, program: impl Iterator<Item = (u16, u8, u8, u32)>) {
    // Writing to a string cannot fail.
    let _ = writeln!(source, "pub(super) static {}: &[sock_filter] = &[", name.to_uppercase());
    for (code, jt, jf, k) in program {
        let _ =
            writeln!(source, "    sock_filter {{ code: {code:#06x}, jt: {jt}, jf: {jf}, k: {k:#010x} }},");
    }
    source.push_str("];\n\n");
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
