//! The file against the table of settings: which keys are legal where, each at most once.
//!
//! Broker only. A derived reader would stop at the first unknown key and would quote the values it stumbles over;
//! this one goes on, reports every key with its path and line, and repeats no value.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::keys;
use super::problem::{Place, Problem, show};
use super::read;
use super::tree::{self, Node, Value};
use crate::policy::nearest;

/// The settings of a file, by their dotted path. Values of nothing (`key:`) are left out.
#[derive(Debug)]
pub struct File {
    /// Which file.
    pub path: Arc<Path>,
    /// SHA-256 of its text.
    pub sha256: [u8; 32],
    /// What it sets.
    pub values: BTreeMap<&'static str, Node>,
}

impl File {
    /// The place of a node of this file.
    pub fn place(&self, path: &str, node: &Node) -> Place {
        place(&self.path, path, node.line)
    }
}

fn place(file: &Arc<Path>, path: &str, line: u64) -> Place {
    Place { file: Some(Arc::clone(file)), line: (line > 0).then_some(line), path: path.to_string() }
}

/// Reads a file and sorts its settings, with the problems of its keys.
///
/// # Errors
/// When it cannot be read or is not one YAML document.
pub fn open(path: &Path) -> Result<(File, Vec<Problem>), Problem> {
    let prefix = format!("parse config file {}", path.display());
    let nowhere = Place::named("");
    let text = read::text(path, read::MAX_CONFIG)
        .map_err(|error| Problem::new(&nowhere, format!("{prefix}: {error}")))?;
    parse(path, &text)
}

/// Sorts the settings of a text, which is that of the file `path`.
///
/// # Errors
/// When it is not one YAML document.
pub fn parse(path: &Path, text: &str) -> Result<(File, Vec<Problem>), Problem> {
    let root = tree::parse(text).map_err(|error| {
        let why = format!(
            "parse config file {}: line {}, column {}: {}",
            path.display(),
            error.line,
            error.column,
            error.why
        );
        Problem::new(&Place::named(""), why)
    })?;
    let path: Arc<Path> = path.into();
    let mut sorter = Sorter { path: &path, values: BTreeMap::new(), problems: Vec::new() };
    sorter.section("", root);
    let Sorter { values, problems, .. } = sorter;
    let sha256 = digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or_default();
    Ok((File { path, sha256, values }, problems))
}

struct Sorter<'a> {
    path: &'a Arc<Path>,
    values: BTreeMap<&'static str, Node>,
    problems: Vec<Problem>,
}

impl Sorter<'_> {
    fn section(&mut self, prefix: &str, node: Node) {
        let here = place(self.path, prefix.trim_end_matches('.'), node.line);
        let entries = match node.value {
            Value::Null => return,
            Value::Map(entries) => entries,
            other => {
                let what =
                    if prefix.is_empty() { "the file must be a map of settings" } else { "must be a map" };
                self.problems.push(Problem::new(&here, what).found(other.kind()));
                return;
            }
        };
        let mut seen = BTreeSet::new();
        for (name, node) in entries {
            let path = format!("{prefix}{name}");
            let inside = format!("{path}.");
            let here = place(self.path, &path, node.line);
            if !seen.insert(name.clone()) {
                self.problems.push(Problem::new(&here, "duplicate key").hint("keep one of them"));
            } else if let Some(key) = keys::ALL.iter().find(|k| k.yaml == path) {
                if !matches!(node.value, Value::Null) {
                    self.values.insert(key.yaml, node);
                }
            } else if keys::ALL.iter().any(|k| k.yaml.starts_with(&inside)) {
                self.section(&inside, node);
            } else {
                self.problems.push(unknown(&here, &name, &siblings(prefix)));
            }
        }
    }
}

/// The names that are legal in a section.
fn siblings(prefix: &str) -> Vec<&'static str> {
    let names = keys::ALL
        .iter()
        .filter_map(|k| k.yaml.strip_prefix(prefix))
        .filter_map(|rest| rest.split('.').next());
    let mut found = BTreeSet::new();
    found.extend(names.filter(|n| !n.is_empty()));
    found.into_iter().collect()
}

/// The problem of a key that does not exist, with the nearest that does.
pub fn unknown(place: &Place, name: &str, legal: &[&str]) -> Problem {
    let mut place = place.clone();
    // The name stands in the message; a key can be anything, also something that was meant to be a value.
    let shown = show(name);
    if shown != format!("\"{name}\"") {
        let parent = place.path.strip_suffix(name).unwrap_or_default().trim_end_matches('.').to_string();
        place.path = parent;
    }
    let problem = Problem::new(&place, format!("unknown key {shown}"));
    match nearest(name, legal.iter().copied()).or_else(|| elsewhere(name)) {
        Some(meant) => problem.hint(format!("did you mean {meant}?")),
        None => problem.hint(format!("legal here: {}", legal.join(", "))),
    }
}

/// The setting whose last part this is, when there is just one: it stands in the wrong section.
fn elsewhere(name: &str) -> Option<&'static str> {
    let mut same = keys::ALL.iter().filter(|key| key.yaml.rsplit('.').next() == Some(name));
    same.next().filter(|_| same.next().is_none()).map(|key| key.yaml)
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
