//! Whole policies against whole calls.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::decide::{Call, builtin};
use super::filter::List;
use super::rules::Policy;
use super::state::State;
use super::{Fault, load};

mod cost;
mod faults;
mod hostile;
mod lists;
mod properties;
mod verdicts;

/// What the tables are about: three channels, every kind of rule.
const POLICY: &str = r#"{
  "version": 1,
  "channels": ["main", "files", "docs"],
  "limits": {"request_bytes": 20000, "result_bytes": 5000},
  "rules": [
    {"id": "session", "channels": ["main", "files"], "methods": ["preset:session", "logging/setLevel"]},
    {"id": "stateless", "channels": ["docs"], "methods": ["preset:stateless", "completion/complete", "subscriptions/listen"]},
    {"id": "plain", "channels": ["main"], "tools": ["echo", "drop", "sum"]},
    {"id": "no-drop", "effect": "deny", "tools": ["drop"], "channels": ["files"]},
    {"id": "read", "channels": ["files"], "tools": ["read_file"], "limits": {"request_bytes": 500, "result_bytes": 100},
     "arguments": {"type": "object", "required": ["path"], "properties": {
        "path": {"type": "string", "path_under": "/srv/shared"},
        "lines": {"type": "integer", "minimum": 1, "maximum": 1000},
        "mode": {"enum": ["text", "binary"]}}}},
    {"id": "fetch", "channels": ["main"], "tools": ["fetch"],
     "arguments": {"type": "object", "required": ["url"], "properties": {
        "url": {"type": "string", "host_in": ["api.example.org", "*.cdn.example.org"]},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}}}},
    {"id": "issue", "channels": ["main"], "tools": ["issue"],
     "arguments": {"type": "object", "required": ["id"], "properties": {
        "id": {"type": "string", "pattern": "^[A-Z]{2,5}-[0-9]+$", "maxLength": 12},
        "tags": {"type": "array", "maxItems": 3, "items": {"type": "string", "minLength": 1}},
        "who": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[a-z]+$"}]},
        "more": {"type": "object", "additionalProperties": {"type": "boolean"}, "properties": {"n": {"const": 7}}}}}},
    {"id": "greeting", "channels": ["docs"], "prompts": ["greet"]},
    {"id": "library", "channels": ["docs"], "resources": ["doc://library/open/*", "doc://index"]},
    {"id": "vault", "effect": "deny", "channels": ["docs"], "resources": ["doc://library/open/vault/*"]}
  ]
}"#;

fn policy(text: &str) -> Policy {
    load(text, None).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str) -> Vec<Fault> {
    load(text, None).err().unwrap_or_default()
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let one = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in pairs.iter().map(one) {
        map.append(name, value);
    }
    map
}

/// `ok RULE` or `no RULE`.
fn verdict(policy: &Policy, channel: &str, body: &[u8], headers: &HeaderMap) -> String {
    let decision = policy.decide(&Call { channel, body, headers });
    format!("{} {}", if decision.allowed { "ok" } else { "no" }, decision.rule)
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

fn tool(name: &str, arguments: &str) -> String {
    request("tools/call", &format!(r#"{{"name":"{name}","arguments":{arguments}}}"#))
}
