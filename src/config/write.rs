//! The settings that count, as YAML that can be read again or as JSON.
//!
//! Pure.

use super::call_policy;
use super::effective::Setting;
use super::tree::{Node, Value};
use crate::policy::string;

/// YAML, each setting with its origin in a comment.
pub fn yaml(settings: &[Setting]) -> String {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for setting in settings {
        let mut sections: Vec<&str> = setting.path.split('.').collect();
        let Some(name) = sections.pop() else { continue };
        let same = open.iter().zip(&sections).take_while(|(a, b)| a == b).count();
        for (depth, section) in sections.iter().enumerate().skip(same) {
            indent(&mut out, depth);
            out.push_str(&format!("{section}:\n"));
        }
        let depth = sections.len();
        indent(&mut out, depth);
        out.push_str(name);
        out.push(':');
        // No line of the operator's may end the comment.
        let origin = setting.origin.replace(|c: char| c.is_control(), " ");
        value(&mut out, &setting.node, depth, &format!("  # {origin}"));
        open = sections;
    }
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// What follows a colon or a hyphen, to the end of the line and below it.
fn value(out: &mut String, node: &Node, depth: usize, comment: &str) {
    let inside = depth.saturating_add(1);
    match &node.value {
        Value::Null => out.push_str(&format!(" null{comment}\n")),
        Value::Text(text) => {
            out.push(' ');
            scalar(out, text.expose(), node.plain);
            out.push_str(&format!("{comment}\n"));
        }
        Value::List(items) if items.is_empty() => out.push_str(&format!(" []{comment}\n")),
        Value::Map(entries) if entries.is_empty() => out.push_str(&format!(" {{}}{comment}\n")),
        Value::List(items) => {
            out.push_str(&format!("{comment}\n"));
            for item in items {
                indent(out, inside);
                out.push('-');
                match &item.value {
                    Value::Map(entries) if !entries.is_empty() => {
                        // The first entry stands behind the hyphen, the others below it.
                        out.push(' ');
                        members(out, entries, inside.saturating_add(1), true);
                    }
                    _ => value(out, item, inside, ""),
                }
            }
        }
        Value::Map(entries) => {
            out.push_str(&format!("{comment}\n"));
            members(out, entries, inside, false);
        }
    }
}

/// The entries of a map; `begun` says that the first one's line is begun already.
fn members(out: &mut String, entries: &[(String, Node)], depth: usize, begun: bool) {
    for (n, (name, item)) in entries.iter().enumerate() {
        if n > 0 || !begun {
            indent(out, depth);
        }
        scalar(out, name, false);
        out.push(':');
        value(out, item, depth, "");
    }
}

/// A scalar in quotes, unless it can be nothing but the text that it is.
fn scalar(out: &mut String, text: &str, plain: bool) {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:@".contains(&b))
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
    // 30s, 1m30s: no number ends so.
    let duration = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain || word || duration { out.push_str(text) } else { string(text, out) }
}

/// JSON: version 1 of its shape.
pub fn json(settings: &[Setting]) -> String {
    let mut out = String::from("{\"version\":1,\"settings\":{");
    for (n, setting) in settings.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        string(setting.path, &mut out);
        out.push_str(":{\"value\":");
        out.push_str(&call_policy::json(&setting.node));
        out.push_str(",\"origin\":");
        string(&setting.origin, &mut out);
        out.push('}');
    }
    out.push_str("}}");
    out
}
