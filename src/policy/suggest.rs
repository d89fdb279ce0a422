//! From what MCP servers offer to the text of a policy, and what changed since one was approved. Pure.
//!
//! Runs in the confined process that met the servers. Everything of theirs leaves as quoted ASCII on one line, so that
//! nothing can pretend to be another line of the file. Suggests little: tools that call themselves read-only.

use std::fmt::Write as _;

use super::canonical;
use super::fault::Faults;
use super::json::{self, Node, Value};
use super::rules::{Kind, Policy};
use super::schema;

/// Most values of a tool's definition.
const MAX_VALUES: usize = 20_000;
/// Longest name that is suggested, in bytes: a key of a YAML file has at most 1024 characters.
const MAX_NAME: usize = 200;
/// Deepest schema that is taken over: the configuration is read to a depth of 16.
const MAX_DEPTH: usize = 5;

/// What a server offers.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Its channel.
    pub channel: String,
    /// The definitions of its tools, as raw JSON.
    pub tools: Vec<String>,
    /// The names of its prompts.
    pub prompts: Vec<String>,
    /// The URIs of its resources.
    pub resources: Vec<String>,
    /// Why there is nothing to say, or not all.
    pub failed: Option<&'static str>,
}

/// A policy that allows the tools that are annotated as read-only, with everything else as comments.
#[must_use]
pub fn suggest(offers: &[Offer]) -> String {
    let mut out = String::from(
        "# Suggested from what the MCP servers say of themselves. Read it before you use it: a server that is not\n\
         # honest calls everything read-only. To allow a candidate, take the # off its lines and add its definition.\n\
         version: 1\npins: enforce\nrules:\n  - id: handshake\n    methods: [\"preset:session\", \"preset:stateless\"]\n",
    );
    let mut definitions = String::new();
    let mut count = 0_usize;
    for offer in offers {
        let channel = &offer.channel;
        let _ = writeln!(out, "  # Channel {channel}");
        if let Some(why) = offer.failed {
            let _ = writeln!(out, "  # {why}");
        }
        let mut allowed = String::new();
        for tool in tools(offer) {
            count += 1;
            let mark = if tool.read_only { "" } else { "# " };
            let digest = &tool.digest;
            if tool.read_only {
                let _ = writeln!(allowed, "    {}: \"{digest}\"", tool.name);
            } else {
                let _ = writeln!(
                    out,
                    "  # candidate; its definition is {{{channel}: {{{}: \"{digest}\"}}}}",
                    tool.name
                );
            }
            for dropped in &tool.dropped {
                let _ = writeln!(out, "  # not enforced: {dropped}");
            }
            let id = format!("{}-{count}", channel.get(..50).unwrap_or(channel));
            let _ = writeln!(
                out,
                "  {mark}- id: {id}\n  {mark}  channels: [{channel}]\n  {mark}  tools: [{}]",
                tool.name
            );
            if let Some(arguments) = &tool.arguments {
                let _ = writeln!(out, "  {mark}  arguments: {arguments}");
            }
        }
        for (kind, names) in [("prompts", &offer.prompts), ("resources", &offer.resources)] {
            for name in names.iter().filter(|name| name.len() <= MAX_NAME) {
                count += 1;
                let id = format!("{}-{count}", channel.get(..50).unwrap_or(channel));
                let name = quoted(name);
                let _ = writeln!(
                    out,
                    "  # candidate\n  # - {{id: {id}, channels: [{channel}], {kind}: [{name}]}}"
                );
            }
        }
        if !allowed.is_empty() {
            let _ = write!(definitions, "  {channel}:\n{allowed}");
        }
    }
    if definitions.is_empty() {
        out.push_str("definitions: {}\n");
    } else {
        let _ = write!(out, "definitions:\n{definitions}");
    }
    out
}

/// What differs from the approved definitions: a line for each tool that changed, went or came. Empty when nothing did.
#[must_use]
pub fn differences(policy: &Policy, offers: &[Offer]) -> String {
    let mut out = String::new();
    for offer in offers {
        let channel = &offer.channel;
        if let Some(why) = offer.failed {
            let _ = writeln!(out, "failed  {channel}: {why}");
            continue;
        }
        let found = tools(offer);
        for tool in &found {
            let word = match policy.approved(channel, &tool.plain) {
                Some(approved) if approved == tool.digest => continue,
                Some(_) => "changed",
                None if policy.may(channel, Kind::Tool, &tool.plain) => "unpinned",
                None => "new",
            };
            let _ = writeln!(out, "{word} {channel}: {} {}", tool.name, tool.digest);
        }
        for approved in policy.definitions.iter().filter(|d| d.channel == *channel) {
            if !found.iter().any(|tool| tool.plain == approved.tool) {
                let _ = writeln!(out, "gone {channel}: {}", quoted(&approved.tool));
            }
        }
    }
    out
}

struct Tool {
    plain: String,
    /// Quoted.
    name: String,
    digest: String,
    read_only: bool,
    arguments: Option<String>,
    dropped: Vec<String>,
}

/// The tools that can be named in a policy, each once.
fn tools(offer: &Offer) -> Vec<Tool> {
    let mut tools: Vec<Tool> = Vec::new();
    for raw in &offer.tools {
        let Ok(node) = json::read(raw.as_bytes(), MAX_VALUES) else { continue };
        let name = node.get("name").and_then(Node::text).filter(|n| !n.is_empty() && n.len() <= MAX_NAME);
        let (Some(name), Some(digest)) = (name, canonical::definition(&node)) else { continue };
        if name.contains('*') || name.chars().any(char::is_control) || tools.iter().any(|t| t.plain == name) {
            continue;
        }
        let hint = node.get("annotations").and_then(|a| a.get("readOnlyHint"));
        let read_only = hint.is_some_and(|hint| matches!(hint.value, Value::Bool(true)));
        let mut dropped = Vec::new();
        let arguments = node.get("inputSchema").and_then(|schema| arguments(schema, &mut dropped));
        let (plain, name) = (name.to_owned(), quoted(name));
        tools.push(Tool { plain, name, digest, read_only, arguments, dropped });
    }
    tools
}

/// The schema of a tool's arguments, as far as it can be enforced.
fn arguments(schema: &Node<'_>, dropped: &mut Vec<String>) -> Option<String> {
    let mut taken = String::new();
    enforceable(schema, "arguments", 0, &mut taken, dropped);
    let object = schema.get("type").and_then(Node::text) == Some("object");
    if object && is_enforced(&taken) {
        return Some(taken);
    }
    dropped.push("arguments".into());
    None
}

fn is_enforced(schema: &str) -> bool {
    // Escapes of YAML that JSON does not have stand in texts only, so they are looked at as others.
    let json = schema.replace("\\U", "\\u");
    let Ok(node) = json::read(json.as_bytes(), MAX_VALUES) else { return false };
    let mut faults = Faults::default();
    let _ = schema::load(&node, "", &mut faults);
    faults.0.is_empty()
}

/// Writes what can be enforced of `schema`, as YAML on one line, and notes the rest.
fn enforceable(schema: &Node<'_>, path: &str, depth: usize, out: &mut String, dropped: &mut Vec<String>) {
    const SILENT: [&str; 12] = [
        "title",
        "description",
        "default",
        "examples",
        "$comment",
        "deprecated",
        "readOnly",
        "$schema",
        "$id",
        "$defs",
        "definitions",
        "type",
    ];
    if depth > MAX_DEPTH {
        dropped.push(path.to_owned());
        return out.push_str("{}");
    }
    let named = |key: &str| format!("{path}.{}", quoted(key).trim_matches('"'));
    let mut parts: Vec<String> = Vec::new();
    let kinds = schema.get("type").map(text_of).filter(|kinds| is_enforced(&format!("{{\"type\":{kinds}}}")));
    parts.extend(kinds.iter().map(|kinds| format!("\"type\":{kinds}")));
    for (key, value) in schema.members() {
        let key = &**key;
        let mut inner = |node: &Node<'_>, at: &str| {
            let mut text = String::new();
            enforceable(node, at, depth + 1, &mut text, dropped);
            text
        };
        let is_map = matches!(value.value, Value::Map(_));
        let text = match (key, &value.value) {
            (key, _) if SILENT.contains(&key) => continue,
            ("properties", Value::Map(members)) if members.iter().all(|(name, _)| name.len() <= MAX_NAME) => {
                let one = |(name, node): &(std::borrow::Cow<'_, str>, Node<'_>)| {
                    format!("{}:{}", quoted(name), inner(node, &named(name)))
                };
                Some(format!("{{{}}}", members.iter().map(one).collect::<Vec<_>>().join(",")))
            }
            ("items", _) if is_map => Some(inner(value, &named(key))),
            ("additionalProperties", _) if is_map => Some(inner(value, &named(key))),
            ("anyOf", Value::List(items)) => {
                let branches: Vec<String> = items.iter().map(|item| inner(item, &named(key))).collect();
                Some(format!("[{}]", branches.join(",")))
            }
            _ => Some(text_of(value)),
        };
        let kind = kinds.iter().map(|kinds| format!("\"type\":{kinds},")).next().unwrap_or_default();
        // `required` is about the properties beside it, and is held against them as a whole.
        let alone = key == "required";
        let text = text.filter(|text| {
            is_enforced(&format!("{{{kind}\"{key}\":{text}}}")) || (alone && !kind.is_empty())
        });
        match text {
            Some(text) => parts.push(format!("\"{key}\":{text}")),
            None => dropped.push(named(key)),
        }
    }
    // Without properties, an object of the standard is open; at the top it takes no arguments.
    let has = |key: &str| parts.iter().any(|part| part.starts_with(&format!("\"{key}\":")));
    let object = kinds.is_some_and(|kinds| kinds.contains("\"object\""));
    if object && depth > 0 && !has("properties") && !has("additionalProperties") {
        parts.push("\"additionalProperties\":true".into());
    }
    let _ = write!(out, "{{{}}}", parts.join(","));
}

/// A value as YAML on one line.
fn text_of(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null | Value::Bool(_) | Value::Number => node.raw.into(),
        Value::Text(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(",")),
        Value::Map(members) => {
            let one = |(key, value): &(std::borrow::Cow<'_, str>, Node<'_>)| {
                format!("{}:{}", quoted(key), text_of(value))
            };
            format!("{{{}}}", members.iter().map(one).collect::<Vec<_>>().join(","))
        }
    }
}

/// A text in double quotes, in ASCII.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            '\u{0}'..='\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[path = "suggest_tests.rs"]
mod tests;
