//! From YAML to the text that `policy::load` reads, and from its faults to problems with a file and a line.
//!
//! Broker and `policy check` only. What a scalar means is decided here once: without quotes a number or a truth value is
//! one, everything else is text. The meaning of a policy is for `policy` alone.

use std::path::Path;

use super::problem::{Place, Problem};
use super::tree::{self, Node, Value};
use super::{profile, raw, read};
use crate::policy;

/// Where a policy stands: its place, and what its paths begin with.
#[derive(Clone, Debug)]
pub struct Origin {
    place: Place,
    prefix: &'static str,
}

impl Origin {
    /// In the section `policy` of a profile, which stands at `place`.
    #[must_use]
    pub fn inline(place: Place) -> Self {
        Self { place, prefix: "policy" }
    }
}

/// Checks a policy file, or the section `policy` of a profile, and returns the text that the worker reads. `known` are
/// the channels that are configured, where that is known.
///
/// # Errors
/// All problems.
pub fn file(path: &Path, known: Option<&[&str]>) -> Result<String, Vec<Problem>> {
    let nowhere = Place::named("");
    let shown = path.display();
    let text = read::text(path, read::MAX_CONFIG)
        .map_err(|error| vec![Problem::new(&nowhere, format!("policy file {shown}: {error}"))])?;
    let root = tree::parse(&text).map_err(|error| {
        let why = format!("policy file {shown}: line {}, column {}: {}", error.line, error.column, error.why);
        vec![Problem::new(&nowhere, why)]
    })?;
    let place = Place { file: Some(path.into()), line: None, path: String::new() };
    check(&root, &Origin { place, prefix: "" }, known)
}

/// The policy of a profile or of a policy file, for a command that is about policies.
///
/// # Errors
/// All problems.
pub fn any(path: &Path, host: super::Host<'_>) -> Result<String, Vec<Problem>> {
    let section = raw::open(path).ok().and_then(|(file, _)| {
        let node = file.values.get(super::keys::POLICY.yaml)?.clone();
        Some((file.place(super::keys::POLICY.yaml, &node), node))
    });
    match section {
        None => file(path, None),
        Some((place, node)) => match &node.value {
            Value::Text(text) if text.expose().starts_with("file:") => {
                let named = text.expose().trim().trim_start_matches("file:");
                file(&profile::expand(named, host), None)
            }
            _ => check(&node, &Origin::inline(place), None),
        },
    }
}

/// The policy of the profile that `run` would use; `None` when it has none, or there is no profile.
///
/// # Errors
/// All problems.
pub fn chosen(flags: &super::Flags, host: super::Host<'_>) -> Result<Option<String>, Vec<Problem>> {
    let Some(path) = profile::select(flags, host).map_err(|problem| vec![problem])? else { return Ok(None) };
    // A profile without a policy is not a policy file, which begins with its version.
    let without = raw::open(&path).is_ok_and(|(file, problems)| {
        problems.is_empty() && !file.values.contains_key(super::keys::POLICY.yaml)
    });
    if without { Ok(None) } else { any(&path, host).map(Some) }
}

/// Checks the policy at a node.
///
/// # Errors
/// All problems.
pub fn check(node: &Node, origin: &Origin, known: Option<&[&str]>) -> Result<String, Vec<Problem>> {
    let mut writer = Writer { out: String::new(), lines: Vec::new(), duplicates: Vec::new() };
    writer.value(node, "");
    let place = |path: &str| {
        let path_there = match (origin.prefix, path) {
            ("", path) => path.to_string(),
            (prefix, "") => prefix.to_string(),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        Place { line: writer.line(path).or(origin.place.line), path: path_there, ..origin.place.clone() }
    };
    let duplicate = |(path, line): &(String, u64)| {
        let place = Place { line: Some(*line), ..place(path) };
        Problem::new(&place, "duplicate key").hint("keep one of them")
    };
    let mut problems: Vec<Problem> = writer.duplicates.iter().map(duplicate).collect();
    if let Err(faults) = policy::load(&writer.out, known) {
        problems.extend(faults.into_iter().map(|fault| {
            let problem = Problem::new(&place(&fault.path), fault.expected);
            let problem = fault.found.into_iter().fold(problem, Problem::found);
            fault.hint.into_iter().fold(problem, Problem::hint)
        }));
    }
    if problems.is_empty() { Ok(writer.out) } else { Err(problems) }
}

/// A node as JSON.
pub(super) fn json(node: &Node) -> String {
    let mut writer = Writer { out: String::new(), lines: Vec::new(), duplicates: Vec::new() };
    writer.value(node, "");
    writer.out
}

struct Writer {
    out: String,
    /// The lines of the paths.
    lines: Vec<(String, u64)>,
    /// Keys that were there before, with their lines.
    duplicates: Vec<(String, u64)>,
}

impl Writer {
    /// The line of a path, or of the nearest above it.
    fn line(&self, mut path: &str) -> Option<u64> {
        loop {
            if let Some((_, line)) = self.lines.iter().find(|(known, line)| known == path && *line > 0) {
                return Some(*line);
            }
            path = path.get(..path.rfind(['.', '['])?)?;
        }
    }

    fn value(&mut self, node: &Node, path: &str) {
        self.lines.push((path.to_string(), node.line));
        match &node.value {
            Value::Null => self.out.push_str("null"),
            Value::Text(text) => self.scalar(text.expose(), node.plain),
            Value::List(items) => {
                self.out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        self.out.push(',');
                    }
                    self.value(item, &format!("{path}[{n}]"));
                }
                self.out.push(']');
            }
            Value::Map(entries) => {
                self.out.push('{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    let inside = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    if entries.iter().take(n).any(|(earlier, _)| earlier == key) {
                        self.duplicates.push((inside, value.line));
                        continue;
                    }
                    if n > 0 {
                        self.out.push(',');
                    }
                    policy::string(key, &mut self.out);
                    self.out.push(':');
                    self.value(value, &inside);
                }
                self.out.push('}');
            }
        }
    }

    fn scalar(&mut self, text: &str, plain: bool) {
        let lower = text.to_ascii_lowercase();
        if plain && matches!(&*lower, "true" | "false") {
            self.out.push_str(&lower);
        } else if plain
            && matches!(policy::json::read(text.as_bytes(), 1), Ok(node) if node.kind() == "a number")
        {
            self.out.push_str(text);
        } else {
            policy::string(text, &mut self.out);
        }
    }
}

#[cfg(test)]
#[path = "call_policy_tests.rs"]
mod tests;
