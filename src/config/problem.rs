//! What is wrong with a configuration, in a form that tells where, what was found, what was expected and what to do.
//!
//! Pure. A problem never contains the text of a value that may be secret; whoever makes one decides with
//! [`show`] or leaves the value out.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::exit::Exit;

/// Longest part of an operator's value that is repeated in a message, in characters.
const SHOWN: usize = 96;

/// Where a value came from: the name that an operator would look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, when it came from one.
    pub file: Option<Arc<Path>>,
    /// Its line there, counted from 1.
    pub line: Option<u64>,
    /// `control_plane.base_url`, `--control-plane.base-url` or `CONTROL_PLANE_BASE_URL`.
    pub path: String,
}

impl Place {
    /// A flag, with its dashes, or an environment variable.
    pub fn named(path: impl Into<String>) -> Self {
        Self { file: None, line: None, path: path.into() }
    }
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What was expected, or the rule that is broken; many operators search for these texts, so they are stable.
    pub expected: String,
    /// What was found, when that may be told.
    pub found: Option<Box<str>>,
    /// How to mend it, where the rule alone does not say it.
    pub hint: Option<Box<str>>,
    /// A secret is named correctly and exists, but cannot be read.
    pub unreadable_secret: bool,
}

impl Problem {
    /// A problem at a place.
    pub fn new(place: &Place, expected: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            expected: expected.into(),
            found: None,
            hint: None,
            unreadable_secret: false,
        }
    }

    /// Adds what was found.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into().into());
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// Marks a secret that cannot be read.
    #[must_use]
    pub fn unreadable(mut self) -> Self {
        self.unreadable_secret = true;
        self
    }
}

impl fmt::Display for Problem {
    /// One line: `file:line: path: expected; found …; hint`. Line breaks inside are replaced by spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        if let Some(file) = &self.place.file {
            line.push_str(&file.display().to_string());
            line.push(':');
            if let Some(number) = self.place.line {
                line.push_str(&format!("{number}:"));
            }
            line.push(' ');
        }
        if !self.place.path.is_empty() {
            line.push_str(&self.place.path);
            line.push_str(": ");
        }
        line.push_str(&self.expected);
        if let Some(found) = &self.found {
            line.push_str("; found ");
            line.push_str(found);
        }
        if let Some(hint) = &self.hint {
            line.push_str("; ");
            line.push_str(hint);
        }
        f.write_str(&line.replace(|c: char| c.is_control(), " "))
    }
}

impl std::error::Error for Problem {}

/// The exit code for a list of problems: 77 when unreadable secrets are all that is wrong, else 78.
#[must_use]
pub fn exit_for(problems: &[Problem]) -> Exit {
    if !problems.is_empty() && problems.iter().all(|p| p.unreadable_secret) {
        Exit::NoPerm
    } else {
        Exit::Config
    }
}

/// A value for a message: quoted, escaped and cut. What looks like a key is described instead, because keys get
/// pasted into the wrong field.
pub fn show(value: &str) -> String {
    let trimmed = value.trim();
    if trimmed.starts_with("sk-") || trimmed.starts_with("Bearer ") {
        return format!("a text of {} characters that looks like a key", value.chars().count());
    }
    let mut cut: String = value.chars().take(SHOWN).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    format!("\"{}\"", cut.escape_debug())
}

#[cfg(test)]
#[path = "problem_tests.rs"]
mod tests;
