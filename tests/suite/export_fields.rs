//! What `audit export` prints of a real log, line by line, against the names, types and values of the formats: the table
//! in `export_fields.txt` says where they are from and what is not checked.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::agent::{SOON, eventually};
use crate::audit::{Log, tunnelward};
use crate::calls::{received, tool};
use crate::lab::{Command, ControlPlane, Options, Stub, StubOptions};
use crate::place::repository;

/// A row of the table.
struct Field {
    kind: &'static str,
    longest: usize,
    is_required: bool,
    values: Vec<&'static str>,
}

type Fields = BTreeMap<&'static str, Field>;

fn fields(format: &str) -> Fields {
    let lines = include_str!("export_fields.txt").lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let rows = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows = rows.filter(|row| row[0] == format).map(|row| {
        let (kind, longest) = row[2].split_once(':').unwrap_or((row[2], "65535"));
        let is_required = row[3] == "required";
        assert!(is_required || row[3] == "optional", "{row:?}");
        (row[1], Field { kind, longest: longest.parse().unwrap(), is_required, values: row[4..].to_vec() })
    });
    rows.collect()
}

/// One value by its row.
fn check(name: &str, field: &Field, value: &Value) {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let number = |most: u64| value.as_u64().is_some_and(|n| n <= most);
    let is_text = value.is_string() && text.chars().count() <= field.longest;
    let fits = match field.kind {
        "keyword" => value.is_string() && text.chars().count() <= 1024,
        "string" => is_text,
        "date" => is_text && is_utc(&text),
        "integer" => number(i32::MAX.unsigned_abs().into()),
        "long" => number(i64::MAX.unsigned_abs()),
        // Of this century, in milliseconds: seconds or microseconds would be out of it.
        "timestamp" => number(4_102_444_800_000) && value.as_u64() > Some(946_684_800_000),
        other => panic!("the table has the type {other}"),
    };
    assert!(fits, "{name} is no {}: {value}", field.kind);
    assert!(field.values.is_empty() || field.values.contains(&text.as_str()), "{name} may not be {value}");
}

/// RFC 3339 in UTC with milliseconds.
fn is_utc(text: &str) -> bool {
    let like = |b: u8| if b.is_ascii_digit() { b'9' } else { b };
    text.bytes().map(like).collect::<Vec<_>>() == b"9999-99-99T99:99:99.999Z"
}

/// The leaves below a value, by their paths.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            assert!(!members.is_empty(), "{path} is empty");
            for (name, value) in members {
                leaves(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
            }
        }
        Value::Array(elements) => {
            assert!(!elements.is_empty(), "{path} is empty");
            elements.iter().for_each(|e| leaves(e, &format!("{path}[]"), found));
        }
        leaf => found.push((path.to_owned(), leaf.clone())),
    }
}

/// Every leaf of a line is in the table and fits, and what is required is there.
fn line_holds(format: &str, line: &[(String, Value)]) {
    let fields = fields(format);
    for (name, value) in line {
        let field = fields.get(name.as_str());
        check(name, field.unwrap_or_else(|| panic!("{format} has no {name} in the table")), value);
    }
    for (name, _) in fields.iter().filter(|(_, field)| field.is_required) {
        assert!(line.iter().any(|(n, _)| n == name), "{format}: {name} is missing in {line:?}");
    }
}

/// The same of all lines, and every row is met in some line: the table has no more than what is written.
fn table_holds(format: &str, lines: &[Vec<(String, Value)>]) {
    lines.iter().for_each(|line| line_holds(format, line));
    let met: BTreeSet<&str> = lines.iter().flatten().map(|(name, _)| name.as_str()).collect();
    let unused: Vec<_> = fields(format).into_keys().filter(|name| !met.contains(name)).collect();
    assert!(unused.is_empty(), "{format}: no line has {unused:?}");
}

fn object(line: &str) -> Map<String, Value> {
    // A name that is there twice would be seen once only.
    let object: Map<String, Value> = serde_json::from_str(line).unwrap();
    let quotes = |text: &str| text.matches('"').count();
    assert_eq!(quotes(&Value::Object(object.clone()).to_string()), quotes(line), "{line}");
    object
}

fn flat(object: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves(&Value::Object(object.clone()), "", &mut found);
    found
}

/// What the rows of the class cannot say.
fn is_api_activity(line: &Map<String, Value>) {
    let number = |name: &str| line[name].as_u64().unwrap();
    assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
    assert!(number("activity_id") != 99 || line.contains_key("activity_name"));
    let caption = ["Unknown", "Success", "Failure"][usize::try_from(number("status_id")).unwrap()];
    assert_eq!(line["status"], caption);
    let one_of = |object: &Value, names: &[&str]| {
        assert!(names.iter().any(|name| object.get(name).is_some()), "{object} has none of {names:?}");
    };
    one_of(&line["actor"], &["process", "user", "invoked_by", "session", "app_name", "app_uid"]);
    one_of(&line["src_endpoint"], &["ip", "uid", "name", "hostname", "svc_name", "instance_uid", "domain"]);
    one_of(&line["metadata"]["product"], &["name", "uid"]);
    one_of(&line["api"]["service"], &["name", "uid"]);
    for resource in line.get("resources").and_then(Value::as_array).into_iter().flatten() {
        one_of(resource, &["name", "uid"]);
    }
}

/// Takes the next characters up to one that ends the value and is not escaped. `escapes` are what may follow a backslash.
fn value(rest: &mut &str, ends: &dyn Fn(&str) -> bool, escapes: &[(char, char)]) -> String {
    let mut text = String::new();
    while !rest.is_empty() && !ends(rest) {
        let mut chars = rest.chars();
        let c = chars.next().unwrap();
        assert!(!c.is_control(), "control character {c:?}");
        if c == '\\' {
            let escaped = chars.next();
            let known = escapes.iter().find(|(name, _)| Some(*name) == escaped);
            text.push(known.unwrap_or_else(|| panic!("\\{escaped:?} is no escape here")).1);
        } else {
            text.push(c);
        }
        *rest = chars.as_str();
    }
    text
}

/// The key that a piece of an extension begins with, if it begins with one.
fn key(text: &str) -> Option<&str> {
    let (key, _) = text.split_once('=')?;
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(key)
}

/// Reads a line by the grammar.
fn cef(line: &str) -> Vec<(String, Value)> {
    let mut rest = line.strip_prefix("CEF:").unwrap();
    let mut found: Vec<(String, String)> = Vec::new();
    for name in ["version", "vendor", "product", "release", "class", "name", "severity"] {
        let text = value(&mut rest, &|rest| rest.starts_with('|'), &[('|', '|'), ('\\', '\\')]);
        rest = rest.strip_prefix('|').unwrap_or_else(|| panic!("the header ends with {name}"));
        found.push((format!("header.{name}"), text));
    }
    while !rest.is_empty() {
        let name = key(rest).unwrap_or_else(|| panic!("no key: {rest}")).to_owned();
        rest = &rest[name.len() + 1..];
        let ends = |rest: &str| rest.strip_prefix(' ').is_some_and(|next| key(next).is_some());
        let text = value(&mut rest, &ends, &[('=', '='), ('\\', '\\'), ('n', '\n'), ('r', '\r')]);
        rest = rest.strip_prefix(' ').unwrap_or(rest);
        assert!(!found.iter().any(|(n, _)| *n == name), "{name} twice");
        found.push((name, text));
    }
    for (name, _) in found.iter().filter(|(name, _)| name.starts_with("cs") || name.starts_with("cn")) {
        let other = name.strip_suffix("Label").map_or(format!("{name}Label"), str::to_owned);
        assert!(found.iter().any(|(n, _)| *n == other), "{name} without {other}");
    }
    let fields = fields("cef");
    let number = |name: &str| fields.get(name).is_some_and(|f| f.kind != "string");
    let typed = |(name, text): (String, String)| {
        let value = if number(&name) { text.parse::<u64>().unwrap().into() } else { Value::from(text) };
        (name, value)
    };
    found.into_iter().map(typed).collect()
}

/// A log with calls of every kind that a real agent records: answered, failed, ended without a method, repeated, and
/// one whose end the agent did not live to see.
async fn log() -> Log {
    let log = Log::begin();
    // What would be refused is forwarded all the same, with the rule in its record.
    let policy = "policy: {version: 1, mode: monitor, rules: [{id: talk, tools: [echo, silent]}]}";
    let plan = log.plan("").top(policy);
    let plane = ControlPlane::start(Options::default()).await;
    let stub = Stub::start(StubOptions::default()).await;
    let mut agent = plan.setup(&plane, &stub).start();
    let traced = tool("traced", "echo", r#"{"text":"x"}"#)
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("Mcp-Session-Id", "a session");
    let hostile = tool("a=b|c e=f", r"x=1|\\ act=no\n\r\u001b[2J\u009b2J\u007f", "{}");
    let long = tool("long", &"n".repeat(4000), "{}");
    let ended = Command::session_termination("ended", "a session");
    let method = Command::call("method", "7", "a|b\\c=d\u{85}", "{}");
    for (id, command) in
        [("traced", traced), ("a=b|c e=f", hostile), ("long", long), ("ended", ended), ("method", method)]
    {
        plane.enqueue(command);
        plane.wait_for_response(id, SOON).await;
    }
    plane.enqueue(tool("traced", "echo", "{}"));
    plane.enqueue(tool("open", "silent", "{}"));
    assert!(eventually(|| (received(&stub, "open") == 1).then_some(())).await.is_some());
    agent.signal("KILL");
    agent.ended(SOON).await.unwrap();
    log.is_good();
    log
}

#[tokio::test]
async fn every_line_of_an_export_is_what_its_format_says() {
    let log = log().await;
    let lines = |format: &str| {
        let output = tunnelward(&["audit", "export", log.path().to_str().unwrap(), "--format", format]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text}");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 7, "{text}");
        lines
    };
    let objects = |format: &str| lines(format).iter().map(|line| object(line)).collect::<Vec<_>>();
    let flat = |objects: &[Map<String, Value>]| objects.iter().map(flat).collect::<Vec<_>>();
    let ecs = objects("ecs");
    table_holds("ecs", &flat(&ecs));
    let ocsf = objects("ocsf");
    table_holds("ocsf", &flat(&ocsf));
    ocsf.iter().for_each(is_api_activity);
    let read: Vec<_> = lines("cef").iter().map(|line| cef(line)).collect();
    table_holds("cef", &read);

    // What was escaped is what it was.
    let of =
        |line: &[(String, Value)], name: &str| line.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let hostile = read.iter().find(|line| of(line, "cs3") == Some("a=b|c e=f".into())).unwrap();
    assert_eq!(of(hostile, "cs2"), Some("x=1|\\ act=no\n\r?[2J?2J?".into()));
    assert!(read.iter().any(|line| of(line, "header.name") == Some("a|b\\c=d?".into())));
    assert!(read.iter().any(|line| of(line, "cs4") == Some("policy.default".into())));
    let name = |line: &Map<String, Value>| line.get("labels").map(|labels| labels["mcp_name"].clone());
    let names: Vec<_> = ecs.iter().filter_map(name).collect();
    assert!(names.contains(&"x=1|\\ act=no\n\r\u{1b}[2J\u{9b}2J\u{7f}".into()), "{names:?}");
}

#[test]
fn the_samples_of_readme_are_such_lines() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let sample =
        |begin: &str| readme.lines().find_map(|l| l.trim_start().strip_prefix(begin).map(|_| l.trim_start()));
    line_holds("ecs", &flat(&object(sample("{\"@timestamp\"").unwrap())));
    let ocsf = object(sample("{\"category_uid\"").unwrap());
    line_holds("ocsf", &flat(&ocsf));
    is_api_activity(&ocsf);
    line_holds("cef", &cef(sample("CEF:0|").unwrap()));
}
