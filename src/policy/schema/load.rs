//! From the text of a schema to what is enforced, and a fault for everything that would not be. Pure.

use super::{Bound, Fixed, INTEGER, KINDS, Kinds, LIST, MAP, NUMBER, Others, Schema, TEXT, kind};
use crate::policy::fault::{Faults, join, show};
use crate::policy::json::{Node, Value};
use crate::policy::number;
use crate::policy::pattern::Pattern;
use crate::policy::reach;

/// What is enforced, and the kind of value that each keyword is about; none: any.
pub const KEYWORDS: [(&str, Kinds); 20] = [
    ("type", 0),
    ("enum", 0),
    ("const", 0),
    ("anyOf", 0),
    ("minimum", INTEGER | NUMBER),
    ("maximum", INTEGER | NUMBER),
    ("exclusiveMinimum", INTEGER | NUMBER),
    ("exclusiveMaximum", INTEGER | NUMBER),
    ("minLength", TEXT),
    ("maxLength", TEXT),
    ("pattern", TEXT),
    ("path_under", TEXT),
    ("host_in", TEXT),
    ("items", LIST),
    ("minItems", LIST),
    ("maxItems", LIST),
    ("properties", MAP),
    ("required", MAP),
    ("additionalProperties", MAP),
    ("$schema", 0),
];
/// What says something to people only.
const REMARKS: [&str; 7] =
    ["title", "description", "default", "examples", "$comment", "deprecated", "readOnly"];
/// Most characters, items and the like that a schema may ask for.
const MOST: usize = 1 << 30;
/// The standard that a schema may name.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Compiles the schema at `path`.
pub fn load(node: &Node<'_>, path: &str, faults: &mut Faults) -> Schema {
    let mut schema = Schema::default();
    if !matches!(node.value, Value::Map(_)) {
        faults.found(path, "must be a schema, which is a map", node.kind());
        return schema;
    }
    schema.kinds = node.get("type").map(|kinds| types(kinds, &join(path, "type"), faults));
    for (key, value) in node.members() {
        let at = join(path, key);
        match KEYWORDS.iter().find(|(name, _)| name == key) {
            Some((_, 0)) => {}
            Some((_, about)) if schema.kinds.is_some_and(|kinds| kinds & about != 0) => {}
            Some(_) => {
                let why = "has no effect without the type that it is about, so anything else would pass";
                faults.hinted(&at, why, "add type");
            }
            None if REMARKS.contains(&&**key) => continue,
            None => {
                let legal: Vec<&str> = KEYWORDS.iter().map(|(name, _)| *name).collect();
                let why = format!("{} is not enforced by this version", show(key));
                faults.hinted(&at, &why, &format!("what is: {}", legal.join(", ")));
                continue;
            }
        }
        keyword(&mut schema, key, value, &at, faults);
    }
    consistent(&schema, path, faults);
    schema
}

fn keyword(schema: &mut Schema, key: &str, value: &Node<'_>, at: &str, faults: &mut Faults) {
    let bound = |upper, exclusive| Bound { raw: value.raw.into(), upper, exclusive };
    match key {
        "$schema" if value.text() != Some(DIALECT) => faults.add(at, &format!("must be {DIALECT}")),
        "enum" | "const" => fixed(schema, key, value, at, faults),
        "anyOf" => match &value.value {
            Value::List(items) if !items.is_empty() => {
                let one = |(n, item)| load(item, &format!("{at}[{n}]"), faults);
                schema.any_of = items.iter().enumerate().map(one).collect();
            }
            _ => faults.add(at, "must be a list of schemas"),
        },
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
            if !matches!(value.value, Value::Number) || !number::is_finite(value.raw) {
                faults.found(at, "must be a number", &show(value.raw));
            } else {
                schema.bounds.push(bound(key.ends_with("aximum"), key.starts_with("exclusive")));
            }
        }
        "minLength" => schema.length.0 = faults.count(at, value, 0, MOST).unwrap_or(0),
        "maxLength" => schema.length.1 = faults.count(at, value, 0, MOST),
        "minItems" => schema.count.0 = faults.count(at, value, 0, MOST).unwrap_or(0),
        "maxItems" => schema.count.1 = faults.count(at, value, 0, MOST),
        "pattern" => match faults.text(at, value).map(Pattern::new) {
            Some(Ok(pattern)) => schema.pattern = Some(pattern),
            Some(Err(why)) => faults.found(at, why, &show(value.text().unwrap_or_default())),
            None => {}
        },
        "path_under" => {
            for (at, base) in some_texts(value, at, faults) {
                if !reach::is_normal(&base) {
                    faults.found(&at, "must be an absolute path without . and ..", &show(&base));
                }
                schema.path_under.push(base);
            }
        }
        "host_in" => {
            for (at, host) in some_texts(value, at, faults) {
                if !reach::is_host_name(host.strip_prefix("*.").unwrap_or(&host)) {
                    let why = "must be a host name in lower case, an address, or *. and a name";
                    faults.found(&at, why, &show(&host));
                }
                schema.host_in.push(host);
            }
        }
        "items" => schema.items = Some(Box::new(load(value, at, faults))),
        "properties" => {
            if !matches!(value.value, Value::Map(_)) {
                faults.found(at, "must be a map", value.kind());
            }
            let one = |(name, node): &(_, _)| {
                let name: &std::borrow::Cow<'_, str> = name;
                (name.to_string(), load(node, &join(at, name), faults))
            };
            schema.properties = value.members().iter().map(one).collect();
        }
        "required" => schema.required = some_texts(value, at, faults).into_iter().map(|(_, t)| t).collect(),
        "additionalProperties" => {
            schema.others = match value.value {
                Value::Bool(false) => Others::None,
                Value::Bool(true) => Others::Any,
                _ => Others::Like(Box::new(load(value, at, faults))),
            };
        }
        _ => {}
    }
}

/// One text, or a list of them.
fn some_texts(value: &Node<'_>, at: &str, faults: &mut Faults) -> Vec<(String, String)> {
    match value.text() {
        Some(text) => vec![(at.into(), text.into())],
        None => faults.texts(at, value).into_iter().map(|(at, text)| (at, text.into())).collect(),
    }
}

fn types(node: &Node<'_>, at: &str, faults: &mut Faults) -> Kinds {
    let mut kinds = 0;
    for (at, name) in some_texts(node, at, faults) {
        match KINDS.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => kinds |= kind,
            None => {
                let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
                faults.found(&at, &format!("must be one of {}", names.join(", ")), &show(&name));
            }
        }
    }
    kinds
}

fn fixed(schema: &mut Schema, key: &str, value: &Node<'_>, at: &str, faults: &mut Faults) {
    let values = match &value.value {
        _ if key == "const" => std::slice::from_ref(value),
        Value::List(items) if !items.is_empty() => items,
        _ => return faults.add(at, "must be a list of values"),
    };
    if schema.fixed.is_some() {
        return faults.add(at, "enum and const together say the same thing twice");
    }
    let mut fixed: Vec<Fixed> = Vec::new();
    for value in values {
        if fixed.iter().any(|known| known.is(value)) {
            faults.found(at, "duplicate entry", &show(value.raw));
        }
        if schema.kinds.is_some_and(|kinds| kinds & kind(value) == 0) {
            faults.found(at, "has a value that type excludes", &show(value.raw));
        }
        fixed.push(match &value.value {
            Value::Null => Fixed::Null,
            Value::Bool(truth) => Fixed::Bool(*truth),
            Value::Number => Fixed::Number(value.raw.into()),
            Value::Text(text) => Fixed::Text(text.to_string()),
            Value::List(_) | Value::Map(_) => {
                return faults.found(at, "lists and maps as values are not enforced", value.kind());
            }
        });
    }
    schema.fixed = Some(fixed);
}

/// What no value could satisfy, or what says nothing.
fn consistent(schema: &Schema, path: &str, faults: &mut Faults) {
    for (least, most) in [schema.length, schema.count] {
        if most.is_some_and(|most| most < least) {
            faults.add(path, "no value satisfies this: the least is above the most");
        }
    }
    let lower = schema.bounds.iter().filter(|bound| !bound.upper);
    for (lower, upper) in lower.flat_map(|l| schema.bounds.iter().filter(|b| b.upper).map(move |u| (l, u))) {
        let order = number::orders(&lower.raw, &upper.raw).map(|(exact, _)| exact);
        let empty = match order {
            Some(std::cmp::Ordering::Less) => false,
            Some(std::cmp::Ordering::Equal) => lower.exclusive || upper.exclusive,
            _ => true,
        };
        if empty {
            faults.add(path, "no number satisfies this: the least is above the most");
        }
    }
    for name in &schema.required {
        let named = schema.properties.iter().any(|(known, _)| known == name);
        if !named && matches!(schema.others, Others::None) {
            let why =
                format!("no value satisfies this: {} is required, but not among properties", show(name));
            faults.add(path, &why);
        }
    }
}
