//! Which value of each setting counts, where it came from, and what of it may be shown.
//!
//! Broker only. Nothing is resolved here: a reference is shown as the reference that it is, and what may be a secret is
//! left out. Whether the values are right is for the checks to say.

use super::check;
use super::hdr;
use super::keys::{self, ALL, Key, Standing};
use super::reference::{Reference, Spelling};
use super::settings::{Settings, settings};
use super::sources::{Given, Layer, Sources};
use super::tree::{Node, Value};
use super::types::Secret;

/// What stands in the place of a secret.
const REDACTED: &str = "<redacted>";

/// One setting as it counts.
pub struct Setting {
    /// Its path in the file.
    pub path: &'static str,
    /// The value, as far as it may be shown.
    pub node: Node,
    /// The flag, the variable, the line of the file, or `default`.
    pub origin: String,
}

/// All settings that have a value, in the order of the table.
pub fn effective(s: &mut Sources<'_>) -> Vec<Setting> {
    let table = settings();
    let audit = s.node(&keys::AUDIT_PATH).is_some();
    let mut shown: Vec<Setting> = Vec::new();
    for row in table.rows() {
        let Some(key) = ALL.iter().find(|key| key.yaml == row.path) else { continue };
        let setting = match given(s, key, row.kind) {
            Some((origin, node)) => Setting { path: key.yaml, node: mask(node, key.yaml, &table), origin },
            // Sections whose presence means something, or that are another program's, are left out.
            None if row.default.is_empty()
                || key.standing != Standing::Used
                || (key.yaml.starts_with("audit.") && !audit) =>
            {
                continue;
            }
            None => {
                let node = mask(text(row.default), key.yaml, &table);
                Setting { path: key.yaml, node, origin: "default".into() }
            }
        };
        shown.push(setting);
    }
    shown
}

/// The value that counts, and what to call its origin.
fn given(s: &mut Sources<'_>, key: &Key, kind: &str) -> Option<(String, Node)> {
    let above = s.flag(key).or_else(|| match *key {
        // Set but empty, these hide the file.
        keys::API_KEY | keys::TUNNEL_ID | keys::MAX_INFLIGHT => s.env_even_empty(key),
        _ => s.env(key),
    });
    if let Some(given) = above {
        let origin = match given.layer {
            Layer::Flag => format!("flag {}", given.place.path),
            _ => format!("environment {}", given.place.path),
        };
        return Some((origin, of_line(s, key, kind, given)));
    }
    if let Some((place, node)) = s.node(key) {
        let file = place.file.map(|file| file.display().to_string()).unwrap_or_default();
        return Some((format!("{file}:{}", place.line.unwrap_or_default()), node));
    }
    let other = s.host.env.get("OPENAI_API_KEY").filter(|v| *key == keys::API_KEY && !v.trim().is_empty());
    other.map(|_| ("environment OPENAI_API_KEY".into(), text("env:OPENAI_API_KEY")))
}

/// What a flag or variable says, in the shape that the file has for it.
fn of_line(s: &mut Sources<'_>, key: &Key, kind: &str, given: Given) -> Node {
    let separators: &[char] = match (kind, *key) {
        ("headers", _) => &[',', ';'],
        ("texts", keys::POLL_CHANNELS) => &[','],
        ("texts", _) => &[';', '\n'],
        ("entries", _) => &['\n'],
        // The variable is as good a reference as any, and says nothing.
        ("secret", _) if given.layer == Layer::Env && !given.trimmed().is_empty() => {
            return text(&format!("env:{}", key.env));
        }
        _ => return text(given.trimmed()),
    };
    let pieces = s.many(key, separators).unwrap_or_default();
    let pieces = pieces.iter().map(Given::trimmed).filter(|piece| !piece.is_empty());
    match kind {
        "headers" => {
            let pairs = pieces.filter_map(hdr::split);
            map(pairs.map(|(name, value)| (name.to_string(), value.to_string())))
        }
        "entries" => list(pieces.map(|piece| match check::line(key).map(|line| line(piece)) {
            Some(Ok(pairs)) => map(pairs.into_iter().map(|(name, value)| (name.to_string(), value))),
            _ => text(REDACTED),
        })),
        _ => list(pieces.map(text)),
    }
}

fn text(text: &str) -> Node {
    node(Value::Text(Secret::new(text.to_string())))
}

fn list(items: impl Iterator<Item = Node>) -> Node {
    node(Value::List(items.collect()))
}

fn map(pairs: impl Iterator<Item = (String, String)>) -> Node {
    node(Value::Map(pairs.map(|(name, value)| (name, text(&value))).collect()))
}

fn node(value: Value) -> Node {
    Node { line: 0, plain: false, value }
}

/// The node without its secrets; scalars that are numbers or truth values by their kind are marked as such.
fn mask(node: Node, path: &str, table: &Settings) -> Node {
    let kind = table.row(path).map_or("secret", |row| row.kind);
    if matches!(kind, "policy" | "any") {
        return node;
    }
    let Node { line, value, .. } = node;
    match value {
        Value::Null => Node { line, plain: true, value },
        Value::Text(text) => {
            let shown = shown(text.expose().trim(), kind);
            let plain = match kind.split(' ').next() {
                Some("whole") => shown.parse::<i64>().is_ok(),
                Some("truth") => matches!(shown.as_str(), "true" | "false"),
                _ => false,
            };
            Node { line, plain, value: Value::Text(Secret::new(shown)) }
        }
        Value::List(items) => {
            let inside = format!("{path}[]");
            let item = |item: Node| match item.value {
                // A list of texts has no row for its items.
                Value::Text(_) => mask(item, path, table),
                _ => mask(item, &inside, table),
            };
            Node { line, plain: false, value: Value::List(items.into_iter().map(item).collect()) }
        }
        Value::Map(entries) => {
            let member = |(name, value): (String, Node)| {
                let value = match kind {
                    "headers" => mask(value, "", table),
                    _ => mask(value, &format!("{path}.{name}"), table),
                };
                (name, value)
            };
            Node { line, plain: false, value: Value::Map(entries.into_iter().map(member).collect()) }
        }
    }
}

/// A scalar as it may be shown.
fn shown(text: &str, kind: &str) -> String {
    let secret = kind == "secret" || text.starts_with("sk-") || text.starts_with("Bearer ");
    if text.is_empty() || Reference::parse(text, Spelling::AnyCase).is_some() {
        return text.into();
    }
    if secret { REDACTED.into() } else { without_credentials(text, kind == "url") }
}

/// The text with the user information of every URL in it redacted; and, of a text that is a URL, the query, which may hold
/// a key.
fn without_credentials(text: &str, url: bool) -> String {
    let mut out = String::new();
    let mut rest = text;
    // A URL that lacks its scheme is wrong, and no less secret.
    if url && !text.contains("://") {
        let (before, after) = text.rsplit_once('@').unwrap_or(("", text));
        out.push_str(if before.is_empty() { "" } else { "<redacted>@" });
        rest = after;
    }
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| "/?#\"'".contains(c) || c.is_whitespace()).unwrap_or(after.len());
        let (authority, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => out.extend([REDACTED, "@", host]),
            None => out.push_str(authority),
        }
        rest = tail;
    }
    match rest.split_once('?') {
        Some((path, _)) if url => out.extend([path, "?", REDACTED]),
        _ => out.push_str(rest),
    }
    out
}

#[cfg(test)]
#[path = "effective_tests.rs"]
mod tests;
