//! Argument rules: the part of JSON Schema 2020-12 that is enforced, and two conditions that it cannot express. Pure.
//!
//! What cannot be enforced is refused when the policy is loaded. Stricter than the standard in two points: an object
//! has no properties but those that are named, unless it says so, and a number must hold its bounds both exactly and as
//! a double.

mod load;

use std::cmp::Ordering;

#[cfg(test)]
pub use load::KEYWORDS;
pub use load::load;

use super::json::{Node, Value};
use super::number;
use super::pattern::Pattern;
use super::reach;

/// Which kinds of values a schema takes, one bit each.
type Kinds = u8;
const NULL: Kinds = 1;
const BOOL: Kinds = 2;
const INTEGER: Kinds = 4;
const NUMBER: Kinds = 8;
const TEXT: Kinds = 16;
const LIST: Kinds = 32;
const MAP: Kinds = 64;

/// The names of the kinds.
const KINDS: [(&str, Kinds); 7] = [
    ("null", NULL),
    ("boolean", BOOL),
    ("integer", INTEGER),
    ("number", NUMBER),
    ("string", TEXT),
    ("array", LIST),
    ("object", MAP),
];

/// A value of `enum` or `const`.
#[derive(Clone, Debug)]
enum Fixed {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
}

/// What properties that are not named may be.
#[derive(Clone, Debug, Default)]
enum Others {
    /// Nothing: there must be none.
    #[default]
    None,
    /// Anything.
    Any,
    /// What this takes.
    Like(Box<Schema>),
}

/// A bound on a number.
#[derive(Clone, Debug)]
struct Bound {
    raw: String,
    /// How a value must compare to it.
    upper: bool,
    exclusive: bool,
}

/// A compiled schema.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    kinds: Option<Kinds>,
    fixed: Option<Vec<Fixed>>,
    any_of: Vec<Schema>,
    bounds: Vec<Bound>,
    /// Least and most characters.
    length: (usize, Option<usize>),
    pattern: Option<Pattern>,
    path_under: Vec<String>,
    host_in: Vec<String>,
    items: Option<Box<Schema>>,
    /// Least and most items.
    count: (usize, Option<usize>),
    properties: Vec<(String, Schema)>,
    required: Vec<String>,
    others: Others,
}

/// Where and why a value is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// From the arguments to the value: `.path` or `.list[3].name`; names that are not the policy's are left out.
    pub path: String,
    /// Without anything that the caller sent.
    pub why: &'static str,
}

fn miss<T>(why: &'static str) -> Result<T, Box<Miss>> {
    Err(Box::new(Miss { path: String::new(), why }))
}

fn within(step: &str) -> impl Fn(Box<Miss>) -> Box<Miss> {
    move |mut miss| {
        miss.path.insert_str(0, step);
        miss
    }
}

impl Schema {
    /// Whether it takes a value.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn check(&self, node: &Node<'_>) -> Result<(), Box<Miss>> {
        if !self.any_of.is_empty() && !self.any_of.iter().any(|schema| schema.check(node).is_ok()) {
            return miss("is none of anyOf");
        }
        if self.kinds.is_some_and(|kinds| kinds & kind(node) == 0) {
            return miss("is of another type");
        }
        if self.fixed.as_ref().is_some_and(|fixed| !fixed.iter().any(|f| f.is(node))) {
            return miss("is not one of the values");
        }
        match &node.value {
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number => self.number(node.raw),
            Value::Text(text) => self.text(text),
            Value::List(items) => self.list(items),
            Value::Map(_) => self.map(node),
        }
    }

    fn number(&self, raw: &str) -> Result<(), Box<Miss>> {
        if self.kinds.is_some() && !number::is_finite(raw) {
            return miss("is beyond what a double holds");
        }
        for bound in &self.bounds {
            let kept = |order: Ordering| match order {
                Ordering::Equal => !bound.exclusive,
                Ordering::Less => bound.upper,
                Ordering::Greater => !bound.upper,
            };
            match number::orders(raw, &bound.raw) {
                Some((exact, doubles)) if kept(exact) && kept(doubles) => {}
                _ => return miss("is out of range"),
            }
        }
        Ok(())
    }

    fn text(&self, text: &str) -> Result<(), Box<Miss>> {
        let (least, most) = self.length;
        if least > 0 || most.is_some() {
            let length = text.chars().count();
            if length < least || most.is_some_and(|most| length > most) {
                return miss("is too short or too long");
            }
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) {
            return miss("does not match the pattern");
        }
        if !self.path_under.is_empty() && !self.path_under.iter().any(|base| reach::path_under(text, base)) {
            return miss("is no path below path_under");
        }
        if !self.host_in.is_empty() && !reach::host_in(text, &self.host_in) {
            return miss("leads to no host of host_in");
        }
        Ok(())
    }

    fn list(&self, items: &[Node<'_>]) -> Result<(), Box<Miss>> {
        let (least, most) = self.count;
        if items.len() < least || most.is_some_and(|most| items.len() > most) {
            return miss("has too few or too many items");
        }
        if let Some(schema) = &self.items {
            for (n, item) in items.iter().enumerate() {
                schema.check(item).map_err(|m| within(&format!("[{n}]"))(m))?;
            }
        }
        Ok(())
    }

    fn map(&self, node: &Node<'_>) -> Result<(), Box<Miss>> {
        if self.kinds.is_none_or(|kinds| kinds & MAP == 0) {
            return Ok(());
        }
        for (key, value) in node.members() {
            match (self.properties.iter().find(|(name, _)| name == key), &self.others) {
                (Some((name, schema)), _) => {
                    schema.check(value).map_err(|m| within(&format!(".{name}"))(m))?;
                }
                (None, Others::None) => return miss("has a property that is not named"),
                (None, Others::Any) => {}
                (None, Others::Like(schema)) => schema.check(value).map_err(within(".*"))?,
            }
        }
        // Where other names are open, one that differs by letter case only would slip past its rule.
        let names = || self.properties.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        if !matches!(self.others, Others::None) && node.has_look_alike(&names()) {
            return miss("has a property that is named like another but for letter case");
        }
        match self.required.iter().find(|name| node.get(name).is_none()) {
            Some(name) => miss("is missing").map_err(within(&format!(".{name}"))),
            None => Ok(()),
        }
    }
}

fn kind(node: &Node<'_>) -> Kinds {
    match &node.value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Number if number::is_integer(node.raw) => INTEGER | NUMBER,
        Value::Number => NUMBER,
        Value::Text(_) => TEXT,
        Value::List(_) => LIST,
        Value::Map(_) => MAP,
    }
}

impl Fixed {
    fn is(&self, node: &Node<'_>) -> bool {
        match (self, &node.value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number) => number::same(a, node.raw),
            (Self::Text(a), Value::Text(b)) => a == b,
            _ => false,
        }
    }
}
