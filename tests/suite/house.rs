//! The house rules that no compiler checks: who may import whom, and who may name what.
//!
//! The rules are functions over a tree of sources, so that they can be shown to find what they look for.

use std::collections::BTreeMap;
use std::path::Path;

/// The floors, top first, as `src/lib.rs` draws them. A room imports only from floors below its own.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["worker", "broker", "launch"],
    &["control", "mcp"],
    &["net", "health"],
    &["tls", "ipc"],
    &["confine"],
    &["config", "audit"],
    &["policy"],
    &["sys", "exit", "log"],
];

/// What no file may be longer than; tests may be a little longer.
const MAX_LINES: usize = 350;
const MAX_TEST_LINES: usize = 500;

/// Bytes in, values out: these name neither files nor sockets.
const PURE: &[&str] = &[
    "control/wire",
    "control/backoff",
    "mcp/jsonrpc",
    "mcp/lines",
    "mcp/sse",
    "mcp/ids",
    "ipc/msg",
    "ipc/parts",
    "config/types",
    "audit/chain",
    "audit/event",
    "audit/state",
    "health/board",
    "health/figures",
    "health/histogram",
    "health/metrics",
    "health/ready",
    "health/request",
    "health/response",
    "health/view",
    "policy/mod",
    "policy/json",
    "policy/decide",
    "policy/filter",
    "policy/load",
    "policy/schema",
    "policy/state",
];
const IMPURE: &[&str] = &["tokio::net", "std::fs", "std::net", "std::os", "tokio::fs", "rustix", "hyper"];

/// Path below `src/` (with `/`), and the text.
type Tree = BTreeMap<String, String>;

fn source() -> Tree {
    fn walk(dir: &Path, base: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, tree);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(base).unwrap().to_str().unwrap().to_string();
                tree.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let base = crate::place::repository().join("src");
    let mut tree = Tree::new();
    walk(&base, &base, &mut tree);
    tree
}

fn is_test(path: &str) -> bool {
    path.ends_with("_tests.rs") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The code of a line: no comment, and nothing of the strings that begin and end on it.
fn code(line: &str) -> String {
    let line = line.replace(r#"'"'"#, "").replace(r#"\""#, "");
    let mut code = String::new();
    if line.matches('"').count().is_multiple_of(2) {
        for (n, part) in line.split('"').enumerate() {
            code.push_str(if n % 2 == 0 { part } else { "\"\"" });
        }
    } else {
        code = line;
    }
    code.split("//").next().unwrap_or_default().to_string()
}

/// The room of a file: the first part of its path.
fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs").trim_end_matches("_tests")
}

/// How many `super::` lead from a file's own module to the crate's root.
fn depth(path: &str) -> usize {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').count() + usize::from(path.ends_with("_tests"))
}

/// Whether an import climbs to the crate's root by `super::`. Indented lines stand in modules of their own.
fn climbs_out(path: &str, line: &str) -> bool {
    let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
    line.starts_with("use super::") && line.matches("super::").count() >= depth(path)
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

/// The rooms that a text names by `crate::` (or, in `main.rs`, by the name of the crate), grouped imports included.
fn named_rooms(text: &str) -> Vec<String> {
    let text: String = text.lines().map(code).collect::<Vec<_>>().join("\n");
    let mut rooms = Vec::new();
    for prefix in ["crate::", "tunnelward::"] {
        for (at, _) in text.match_indices(prefix) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &text[at + prefix.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                rooms.extend(members(group));
            } else {
                rooms.push(identifier(rest));
            }
        }
    }
    rooms
}

fn identifier(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first identifier of every member of a `{…}` group whose opening brace is gone.
fn members(group: &str) -> Vec<String> {
    let mut found = vec![identifier(group)];
    let mut depth = 0_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(identifier(&group[at + 1..])),
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Imports that do not point downwards.
fn wrong_imports(tree: &Tree) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, text) in tree {
        let from = room(path);
        if from == "lib" {
            continue;
        }
        let Some(own) = floor(from) else {
            wrong.push(format!("{path}: the room {from} stands on no floor"));
            continue;
        };
        if text.lines().any(|line| climbs_out(path, line)) {
            wrong.push(format!("{path} climbs out of its room by super::"));
        }
        for to in named_rooms(text) {
            match floor(&to) {
                _ if to == from => {}
                // Macros and other items of the crate's root would hide an edge.
                None => wrong.push(format!("{path} names crate::{to}, which is no room")),
                // A test may bring two neighbours together.
                Some(other) if other == own && is_test(path) => {}
                Some(other) if other <= own => {
                    wrong.push(format!("{path} imports {to}, which is not below {from}"))
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// Lines of code outside the rooms that `allowed` accepts that name one of the words.
fn named_outside(tree: &Tree, words: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| !allowed(path)) {
        for (n, line) in text.lines().enumerate() {
            for word in words.iter().filter(|w| names(&code(line), w)) {
                found.push(format!("{path}:{}: {word}", n + 1));
            }
        }
    }
    found
}

/// Whether the word stands in the line with nothing of an identifier around it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    })
}

fn too_long(tree: &Tree) -> Vec<String> {
    let bound = |path: &str| if is_test(path) { MAX_TEST_LINES } else { MAX_LINES };
    let long =
        tree.iter().map(|(path, text)| (path, text.lines().count())).filter(|(path, n)| *n > bound(path));
    long.map(|(path, n)| format!("{path} has {n} lines")).collect()
}

fn impure(tree: &Tree) -> Vec<String> {
    let pure = |path: &str| {
        !is_test(path) && PURE.iter().any(|p| path == format!("{p}.rs") || path.starts_with(&format!("{p}/")))
    };
    let missing =
        PURE.iter().filter(|p| !tree.keys().any(|path| path.trim_end_matches(".rs").starts_with(**p)));
    let missing = missing.map(|p| format!("{p} is gone: mend the list"));
    missing.chain(named_outside(tree, IMPURE, |path| !pure(path))).collect()
}

const UNSAFE: &[&str] = &["unsafe", "libc"];
const SPAWNS: &[&str] = &["process::Command"];

fn in_sys(path: &str) -> bool {
    room(path) == "sys"
}

fn spawner(path: &str) -> bool {
    path == "broker/spawn.rs" || is_test(path)
}

#[track_caller]
fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn rooms_import_only_from_the_floors_below() {
    assert_none(&wrong_imports(&source()));
}

#[test]
fn the_floors_are_those_that_lib_rs_draws() {
    let tree = source();
    let drawing: Vec<&str> = tree["lib.rs"]
        .lines()
        .skip_while(|l| !l.contains("```text"))
        .skip(1)
        .take_while(|l| !l.contains("```"))
        .collect();
    let drawn: Vec<Vec<&str>> = drawing
        .iter()
        .map(|l| {
            l.trim_start_matches("//!")
                .split_whitespace()
                .map(|r| r.trim_end_matches('/').trim_end_matches(".rs"))
                .collect()
        })
        .collect();
    assert_eq!(drawn, FLOORS);
}

#[test]
fn only_sys_is_unsafe_or_names_libc() {
    let words = named_outside(&source(), UNSAFE, in_sys);
    assert_none(&words);
}

#[test]
fn only_the_spawner_starts_processes() {
    assert_none(&named_outside(&source(), SPAWNS, spawner));
}

#[test]
fn no_file_is_too_long() {
    assert_none(&too_long(&source()));
}

#[test]
fn pure_rooms_name_neither_files_nor_sockets() {
    assert_none(&impure(&source()));
}

/// The rules against a house that breaks each of them once.
mod the_checker {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(path, text)| ((*path).to_string(), (*text).to_string())).collect()
    }

    #[test]
    fn finds_imports_upwards_and_sideways() {
        let found = wrong_imports(&tree(&[
            ("tls/mod.rs", "use crate::net::Client;"),
            ("ipc/mod.rs", "use super::net;"),
            ("ipc/msg.rs", "use super::channel;"),
            ("broker/broker_tests.rs", "use crate::launch; use crate::commands;"),
            ("ipc/msg_tests.rs", "use super::super::channel;"),
            ("worker/mod.rs", "use crate::{\n    config::types::{Worker, Mcp},\n    broker::Loop,\n};"),
            ("mcp/http/mod.rs", "fn f() { crate::control::g() }"),
            ("attic/mod.rs", ""),
            ("log.rs", "pub(crate) use crate::helper;"),
            ("main.rs", "use tunnelward::commands;"),
            ("commands/run.rs", "use crate::broker; use crate::worker; // crate::main"),
            ("net/mod.rs", "use crate::net::dial; use crate::tls; use other_crate::broker;"),
        ]));
        let expected = [
            "attic/mod.rs: the room attic stands on no floor",
            "broker/broker_tests.rs imports commands, which is not below broker",
            "ipc/mod.rs climbs out of its room by super::",
            "log.rs names crate::helper, which is no room",
            "mcp/http/mod.rs imports control, which is not below mcp",
            "tls/mod.rs imports net, which is not below tls",
            "worker/mod.rs imports broker, which is not below worker",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn finds_forbidden_names() {
        let house = tree(&[
            ("sys/mod.rs", "unsafe { libc::close(0) }"),
            (
                "net/dial.rs",
                "// unsafe\nlet s = \"unsafe\"; let x = unsafe { y };\nuse libc::c_int;\nlet unsafely = 1;",
            ),
            ("broker/spawn.rs", "std::process::Command::new"),
            ("worker/mod.rs", "use std::process::Command;"),
        ]);
        assert_eq!(named_outside(&house, UNSAFE, in_sys), ["net/dial.rs:2: unsafe", "net/dial.rs:3: libc"]);
        assert_eq!(named_outside(&house, SPAWNS, spawner), ["worker/mod.rs:1: process::Command"]);
    }

    #[test]
    fn finds_long_files() {
        let lines = |n: usize| "\n".repeat(n);
        let house = tree(&[
            ("a.rs", &lines(MAX_LINES)),
            ("b.rs", &lines(MAX_LINES + 1)),
            ("c_tests.rs", &lines(MAX_TEST_LINES)),
            ("d/tests.rs", &lines(MAX_TEST_LINES + 1)),
        ]);
        assert_eq!(too_long(&house), ["b.rs has 351 lines", "d/tests.rs has 501 lines"]);
    }

    #[test]
    fn finds_impure_rooms_and_rooms_that_are_gone() {
        let mut house: Tree = PURE.iter().map(|p| (format!("{p}.rs"), String::new())).collect();
        assert_eq!(impure(&house), [""; 0]);
        house.insert("mcp/sse_tests.rs".into(), "use std::fs;".into());
        house.insert("control/wire/read.rs".into(), "use std::net::TcpStream;".into());
        house.remove("mcp/ids.rs");
        assert_eq!(impure(&house), ["mcp/ids is gone: mend the list", "control/wire/read.rs:1: std::net"]);
    }

    #[test]
    fn reads_the_whole_house() {
        let tree = source();
        assert!(tree.len() > 20 && tree.contains_key("main.rs"), "{} files", tree.len());
        let edges: usize = tree.values().map(|text| named_rooms(text).len()).sum();
        assert!(edges > 20, "{edges} imports");
    }
}
