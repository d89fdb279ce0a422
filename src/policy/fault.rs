//! What is wrong with a policy, each with its path, and the small readers that find it. Pure.

use super::json::{Node, Value};
use super::nearest;

/// Longest part of a value that is repeated in a message, in characters.
const SHOWN: usize = 64;

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, from the top of the policy: `rules[2].arguments.properties.path`.
    pub path: String,
    /// What was expected, or the rule that is broken.
    pub expected: String,
    /// What was found.
    pub found: Option<String>,
    /// How to mend it, where the rule alone does not say it.
    pub hint: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<Fault>);

/// A part of an operator's text for a message.
pub(super) fn show(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN).collect();
    format!("{cut:?}")
}

impl Faults {
    pub(super) fn add(&mut self, path: &str, expected: &str) {
        self.push(path, expected, None, None);
    }

    pub(super) fn hinted(&mut self, path: &str, expected: &str, hint: &str) {
        self.push(path, expected, None, Some(hint));
    }

    pub(super) fn found(&mut self, path: &str, expected: &str, found: &str) {
        self.push(path, expected, Some(found), None);
    }

    fn push(&mut self, path: &str, expected: &str, found: Option<&str>, hint: Option<&str>) {
        let (found, hint) = (found.map(str::to_owned), hint.map(str::to_owned));
        self.0.push(Fault { path: path.into(), expected: expected.into(), found, hint });
    }

    /// The entries of a map whose legal keys are `legal`.
    pub(super) fn map<'n, 'a>(
        &mut self,
        path: &str,
        node: &'n Node<'a>,
        legal: &[&str],
    ) -> Vec<(&'n str, String, &'n Node<'a>)> {
        if !matches!(node.value, Value::Map(_)) {
            self.found(path, "must be a map", node.kind());
        }
        let mut entries = Vec::new();
        for (key, value) in node.members() {
            let at = join(path, key);
            if legal.contains(&&**key) {
                entries.push((&**key, at, value));
            } else {
                let hint = match nearest(key, legal.iter().copied()) {
                    Some(meant) => format!("did you mean {meant}?"),
                    None => format!("legal here: {}", legal.join(", ")),
                };
                self.hinted(&at, &format!("unknown key {}", show(key)), &hint);
            }
        }
        entries
    }

    /// The texts of a list, none of them empty or given twice. An empty list says nothing and is refused.
    pub(super) fn texts<'n>(&mut self, path: &str, node: &'n Node<'_>) -> Vec<(String, &'n str)> {
        let Value::List(items) = &node.value else {
            self.found(path, "must be a list", node.kind());
            return Vec::new();
        };
        if items.is_empty() {
            self.add(path, "must not be empty");
        }
        let mut texts: Vec<(String, &str)> = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let at = format!("{path}[{n}]");
            match self.text(&at, item) {
                Some(text) if texts.iter().any(|(_, known)| *known == text) => {
                    self.found(&at, "duplicate entry", &show(text));
                }
                Some(text) => texts.push((at, text)),
                None => {}
            }
        }
        texts
    }

    /// A text that is not empty.
    pub(super) fn text<'n>(&mut self, path: &str, node: &'n Node<'_>) -> Option<&'n str> {
        match node.text() {
            Some("") => self.add(path, "must not be empty"),
            Some(text) => return Some(text),
            None => self.found(path, "must be text", node.kind()),
        }
        None
    }

    /// A whole number between the two.
    pub(super) fn count(&mut self, path: &str, node: &Node<'_>, least: usize, most: usize) -> Option<usize> {
        let number = if matches!(node.value, Value::Number) { node.raw.parse().ok() } else { None };
        let legal = number.filter(|n| (least..=most).contains(n));
        if legal.is_none() {
            self.found(path, &format!("must be a whole number between {least} and {most}"), &show(node.raw));
        }
        legal
    }

    /// One of the words.
    pub(super) fn word<T: Copy>(&mut self, path: &str, node: &Node<'_>, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| node.text() == Some(*word));
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.found(path, &format!("must be {}", names.join(" or ")), &show(node.raw));
        }
        found.map(|(_, meaning)| *meaning)
    }
}

/// The path of a member.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}
