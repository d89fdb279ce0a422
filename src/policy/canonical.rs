//! The one form of a JSON value (RFC 8785) and digests over it. Pure.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

use super::json::{Member, Node, Value};

/// The members of a tool's definition that are pinned: what a model decides by. `title` and icons are for display.
const DEFINITION: [&str; 5] = ["annotations", "description", "inputSchema", "name", "outputSchema"];

/// Most members of an object that has a form.
const MAX_MEMBERS: usize = 4096;

/// The RFC 8785 form; `None` when there is none, because a number is no double or an object too large.
#[must_use]
pub fn form(node: &Node<'_>) -> Option<String> {
    let mut out = String::with_capacity(node.raw.len());
    write(node, &mut out)?;
    Some(out)
}

/// The digest that pins a tool: over name, description, inputSchema, outputSchema and annotations, as far as they are
/// there. 64 lower-case hex digits.
#[must_use]
pub fn definition(tool: &Node<'_>) -> Option<String> {
    let pinned = tool.members().iter().filter(|(key, _)| DEFINITION.contains(&&**key));
    let only = Node { raw: "", value: Value::Map(pinned.cloned().collect()) };
    Some(sha256_hex(form(&only)?.as_bytes()))
}

/// SHA-256 as 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write(node: &Node<'_>, out: &mut String) -> Option<()> {
    match &node.value {
        Value::Null | Value::Bool(_) => out.push_str(node.raw),
        Value::Number => number(node.raw, out)?,
        Value::Text(text) => string(text, out),
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Map(members) => {
            out.push('{');
            for (n, (key, value)) in sorted(members)?.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
    }
    Some(())
}

/// The members by the UTF-16 code units of their keys. Each is put in its place, which costs less code than sorting.
fn sorted<'n, 'a>(members: &'n [Member<'a>]) -> Option<Vec<&'n Member<'a>>> {
    if members.len() > MAX_MEMBERS {
        return None;
    }
    let mut sorted: Vec<&Member<'a>> = Vec::with_capacity(members.len());
    for member in members {
        let before = |other: &&Member<'a>| other.0.encode_utf16().lt(member.0.encode_utf16());
        sorted.insert(sorted.partition_point(before), member);
    }
    Some(sorted)
}

/// A JSON string with the escapes of RFC 8785 section 3.2.2.2.
pub fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A number as ECMAScript writes the double that is nearest to it.
fn number(raw: &str, out: &mut String) -> Option<()> {
    let double: f64 = raw.parse().ok().filter(|d: &f64| d.is_finite())?;
    if double == 0.0 {
        out.push('0');
        return Some(());
    }
    let scientific = format!("{:e}", double.abs());
    let (mantissa, exponent) = scientific.split_once('e')?;
    let point = exponent.parse::<i32>().ok()?.checked_add(1)?;
    let digits = mantissa.replace('.', "");
    if double < 0.0 {
        out.push('-');
    }
    let count = i32::try_from(digits.len()).ok()?;
    match point {
        1..=21 if count <= point => {
            out.push_str(&digits);
            (count..point).for_each(|_| out.push('0'));
        }
        1..=21 => {
            let (whole, fraction) = digits.split_at_checked(usize::try_from(point).ok()?)?;
            let _ = write!(out, "{whole}.{fraction}");
        }
        -5..=0 => {
            out.push_str("0.");
            (point..0).for_each(|_| out.push('0'));
            out.push_str(&digits);
        }
        _ => {
            let (first, rest) = digits.split_at_checked(1)?;
            let dot = if rest.is_empty() { "" } else { "." };
            let sign = if point > 0 { "+" } else { "" };
            let _ = write!(out, "{first}{dot}{rest}e{sign}{}", point.checked_sub(1)?);
        }
    }
    Some(())
}

#[cfg(test)]
#[path = "canonical_tests.rs"]
mod tests;
