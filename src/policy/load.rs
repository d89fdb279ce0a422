//! From the text of a policy to [`Policy`], or every fault of it. Pure.
//!
//! The text is JSON: the broker turns the operator's YAML into it and hands the same text to the worker, so there is
//! one reader and one meaning.

mod overlap;
mod rule;

use super::canonical;
use super::fault::{Fault, Faults, show};
use super::index::Index;
use super::json::{self, Node, Value};
use super::rules::{Definition, Headers, Limits, Mode, Pins, Policy};

/// The version that this program writes and reads.
pub const VERSION: &str = "1";
/// Most values of a policy.
const MAX_VALUES: usize = 200_000;
/// Most rules, and most names in all of them: each pair of names is compared once.
const MAX_RULES: usize = 1000;
const MAX_NAMES: usize = 3000;
/// Most bytes of a limit, and most calls.
const MAX_BYTES: usize = 1 << 32;
const MAX_CALLS: usize = 10_000;
/// The keys of a policy.
pub const KEYS: [&str; 8] =
    ["version", "mode", "channels", "rules", "limits", "headers", "pins", "definitions"];
/// The keys of `limits`.
pub const LIMITS: [&str; 4] = ["request_bytes", "result_bytes", "calls_per_minute", "in_flight"];
/// The keys of `headers`.
pub const HEADERS: [&str; 2] = ["request", "answer"];
/// The headers of an answer that the protocol passes, in lower case.
const ANSWER_HEADERS: [&str; 6] = [
    "access-control-expose-headers",
    "content-type",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "www-authenticate",
];

/// The paths of all keys of a policy.
#[cfg(test)]
pub fn paths() -> Vec<String> {
    let lists: [(&str, &[&str]); 5] = [
        ("", &KEYS),
        ("rules[].", &rule::KEYS),
        ("rules[].limits.", &LIMITS),
        ("limits.", &LIMITS),
        ("headers.", &HEADERS),
    ];
    lists.iter().flat_map(|(prefix, names)| names.iter().map(move |name| format!("{prefix}{name}"))).collect()
}

/// Reads a policy. `known` are the channels that are configured, where that is known: a rule for another one could never
/// be reached.
///
/// # Errors
/// All faults.
pub fn load(text: &str, known: Option<&[&str]>) -> Result<Policy, Vec<Fault>> {
    let mut faults = Faults::default();
    let root = match json::read(text.as_bytes(), MAX_VALUES) {
        Ok(root) => root,
        Err(why) => {
            faults.add("", unreadable(why));
            return Err(faults.0);
        }
    };
    let mut policy = Policy::default();
    let entries = faults.map("", &root, &KEYS);
    match root.get("version").map(|version| (version.raw, version)) {
        Some((VERSION, _)) => {}
        Some((other, _)) => {
            let hint = "a newer policy needs a newer tunnelward";
            faults.hinted("version", &format!("must be {VERSION}, and is {}", show(other)), hint);
        }
        None => faults.hinted("version", "is missing", &format!("write version: {VERSION}")),
    }
    // The channels first, since the rules are held against them.
    if let Some(node) = root.get("channels") {
        policy.channels = Some(channels("channels", node, known, &mut faults));
    }
    for (key, at, node) in entries {
        match key {
            "mode" => {
                let words = [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)];
                policy.mode = faults.word(&at, node, &words).unwrap_or_default();
            }
            "pins" => {
                let words = [("enforce", Pins::Enforce), ("warn", Pins::Warn), ("off", Pins::Off)];
                policy.pins = faults.word(&at, node, &words).unwrap_or_default();
            }
            "limits" => policy.limits = limits(&at, node, &mut faults),
            "headers" => policy.headers = headers(&at, node, &mut faults),
            "definitions" => policy.definitions = definitions(&at, node, &mut faults),
            "rules" => rules(&mut policy, &at, node, known, &mut faults),
            _ => {}
        }
    }
    if policy.rules.is_empty() && faults.0.is_empty() {
        faults.hinted("rules", "without a rule nothing can be called", "write at least one rule");
    }
    if faults.0.is_empty() {
        overlap::check(&policy, &mut faults);
        pinned(&policy, root.get("pins").is_some(), &mut faults);
    }
    match canonical::form(&root) {
        Some(form) => policy.digest = canonical::sha256_hex(form.as_bytes()),
        None => faults.add("", "has a number beyond what a double holds, or a map that is too large"),
    }
    if faults.0.is_empty() { Ok(policy) } else { Err(faults.0) }
}

fn unreadable(why: json::Unreadable) -> &'static str {
    match why {
        json::Unreadable::NotJson => "is not JSON",
        json::Unreadable::Duplicate => "has a key twice in one map",
        json::Unreadable::TooDeep | json::Unreadable::TooMany => "is too large or too deeply nested",
    }
}

fn rules(policy: &mut Policy, at: &str, node: &Node<'_>, known: Option<&[&str]>, faults: &mut Faults) {
    let Value::List(items) = &node.value else { return faults.found(at, "must be a list", node.kind()) };
    if items.len() > MAX_RULES {
        return faults.found(at, &format!("has more than {MAX_RULES} rules"), &items.len().to_string());
    }
    for (n, item) in items.iter().enumerate() {
        let at = format!("{at}[{n}]");
        let Some(rule) = rule::load(item, &at, known, faults) else { continue };
        if policy.rules.iter().any(|other| other.id == rule.id) {
            faults.found(&format!("{at}.id"), "another rule has this id", &show(&rule.id));
        }
        policy.rules.push(rule);
    }
    let names: usize = policy.rules.iter().map(|rule| rule.names.len()).sum();
    if names > MAX_NAMES {
        faults.found(at, &format!("has more than {MAX_NAMES} names in all"), &names.to_string());
        policy.rules.clear();
    }
    policy.index = Index::of(&policy.rules);
}

/// A list of channels.
fn channels(at: &str, node: &Node<'_>, known: Option<&[&str]>, faults: &mut Faults) -> Vec<String> {
    let mut channels = Vec::new();
    for (at, name) in faults.texts(at, node) {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        if name.len() > 64 || !name.bytes().all(legal) {
            faults.found(&at, "must be a channel name in lower case", &show(name));
        } else if known.is_some_and(|known| !known.contains(&name)) {
            faults.found(&at, "no MCP server is configured for this channel", &show(name));
        } else {
            channels.push(name.into());
        }
    }
    channels
}

fn limits(at: &str, node: &Node<'_>, faults: &mut Faults) -> Limits {
    let mut limits = Limits::default();
    for (key, at, node) in faults.map(at, node, &LIMITS) {
        match key {
            "request_bytes" => limits.request_bytes = faults.count(&at, node, 1, MAX_BYTES),
            "result_bytes" => limits.result_bytes = faults.count(&at, node, 1, MAX_BYTES),
            "calls_per_minute" => limits.calls_per_minute = faults.count(&at, node, 1, MAX_CALLS),
            _ => limits.in_flight = faults.count(&at, node, 1, MAX_CALLS),
        }
    }
    limits
}

fn headers(at: &str, node: &Node<'_>, faults: &mut Faults) -> Headers {
    let mut headers = Headers::default();
    for (key, at, node) in faults.map(at, node, &HEADERS) {
        let mut names = Vec::new();
        let empty = matches!(&node.value, Value::List(items) if items.is_empty());
        for (at, name) in if empty { Vec::new() } else { faults.texts(&at, node) } {
            let lower = name.to_ascii_lowercase();
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if !name.bytes().all(token) || name.contains('*') {
                faults.found(&at, "must be the name of a header", &show(name));
            } else if key == "answer" && !ANSWER_HEADERS.contains(&&*lower) {
                let hint = format!("those that can are {}", ANSWER_HEADERS.join(", "));
                faults.hinted(&at, "this header never leaves, whatever is written here", &hint);
            } else if names.contains(&lower) {
                faults.found(&at, "duplicate entry", &show(name));
            } else {
                names.push(lower);
            }
        }
        *(if key == "request" { &mut headers.request } else { &mut headers.answer }) = Some(names);
    }
    headers
}

fn definitions(at: &str, node: &Node<'_>, faults: &mut Faults) -> Vec<Definition> {
    let mut definitions = Vec::new();
    if !matches!(node.value, Value::Map(_)) {
        faults.found(at, "must be a map of channels", node.kind());
    }
    for (channel, tools) in node.members() {
        let at = format!("{at}.{channel}");
        if !matches!(tools.value, Value::Map(_)) {
            faults.found(&at, "must be a map of tools", tools.kind());
        }
        for (tool, digest) in tools.members() {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            match digest.text() {
                Some(text) if text.len() == 64 && text.bytes().all(hex) => definitions.push(Definition {
                    channel: channel.to_string(),
                    tool: tool.to_string(),
                    sha256: text.into(),
                }),
                _ => faults
                    .add(&format!("{at}.{tool}"), "must be a SHA-256 digest of 64 lower-case hex digits"),
            }
        }
    }
    definitions
}

/// Whether pins and definitions belong together.
fn pinned(policy: &Policy, said: bool, faults: &mut Faults) {
    use super::rules::Kind;
    if !policy.definitions.is_empty() && !said {
        faults.hinted("definitions", "have no effect without pins", "write pins: enforce, warn or off");
    }
    for definition in &policy.definitions {
        let Definition { channel, tool, .. } = definition;
        if !policy.may(channel, Kind::Tool, tool) {
            let why = "no rule allows this tool on this channel";
            faults.add(&format!("definitions.{channel}.{tool}"), why);
        }
    }
    if policy.pins == Pins::Off {
        return;
    }
    for (n, rule) in policy.rules.iter().enumerate().filter(|(_, r)| !r.deny && r.kind == Kind::Tool) {
        for (m, name) in rule.names.iter().enumerate() {
            let here = |d: &Definition| {
                d.tool == name.text && rule.channels.as_ref().is_none_or(|c| c.contains(&d.channel))
            };
            if !policy.definitions.iter().any(here) {
                let hint = "add its digest to definitions; tunnelward policy suggest prints it";
                faults.hinted(&format!("rules[{n}].tools[{m}]"), "has no approved definition", hint);
            }
        }
    }
}

/// Every key of a policy, of its rules and of a schema, for the test of the documents.
#[cfg(test)]
pub(super) fn keys() -> Vec<&'static str> {
    let schema = super::schema::KEYWORDS.iter().map(|(name, _)| *name).filter(|name| *name != "$schema");
    KEYS.into_iter().chain(LIMITS).chain(HEADERS).chain(rule::KEYS).chain(schema).collect()
}
