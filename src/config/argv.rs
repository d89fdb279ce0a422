//! The command line of `tunnel-client` turned into the one that our parser takes.
//!
//! Pure. Knows flags by the table of settings: `--control-plane.base-url`, its hyphen form, `--name=value`, flags
//! that stand for `true`. Everything else passes unchanged, so that the parser can complain about it.

use std::fmt;

use super::keys::{ALL, Key, Shape};
use crate::policy::nearest;

/// Why a command line cannot be normalised. Values are never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgvError {
    /// No such flag, or one of another flavour; and the one that may have been meant.
    Unknown(String, Option<String>),
    /// The last flag lacks its value.
    NoValue(String),
}

impl fmt::Display for ArgvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(flag, None) => write!(f, "unknown flag: {flag}"),
            Self::Unknown(flag, Some(meant)) => write!(f, "unknown flag: {flag}; did you mean {meant}?"),
            Self::NoValue(flag) => write!(f, "flag needs an argument: {flag}"),
        }
    }
}

impl std::error::Error for ArgvError {}

/// The long option of a flag: dots become hyphens.
#[must_use]
pub fn option(key: &Key) -> String {
    format!("--{}", key.flag.replace('.', "-"))
}

/// Normalises the arguments that follow a subcommand which takes the flags of the table. Every flag comes out as
/// `--kebab-name` and its value as an argument of its own.
///
/// # Errors
/// When a flag does not exist or has no value.
pub fn normalise<S: AsRef<str>>(arguments: &[S]) -> Result<Vec<String>, ArgvError> {
    let mut normal = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter().map(AsRef::as_ref);
    while let Some(argument) = rest.next() {
        if argument == "--" {
            normal.push(argument.to_string());
            normal.extend(rest.map(str::to_string));
            break;
        }
        if argument == "--help" || argument == "-h" {
            normal.push("--help".into());
            continue;
        }
        let Some(flag) = argument.strip_prefix('-') else {
            normal.push(argument.to_string());
            continue;
        };
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (argument, None),
        };
        let known = flag.strip_prefix('-').and_then(|_| find(name));
        let Some(key) = known else { return Err(unknown(name)) };
        let value = match (value, key.shape) {
            (Some(value), _) => value,
            (None, Shape::Switch) => "true".into(),
            (None, _) => {
                rest.next().map(str::to_string).ok_or_else(|| ArgvError::NoValue(name.to_string()))?
            }
        };
        normal.extend([option(key), value]);
    }
    Ok(normal)
}

/// The error of a flag that does not exist. The flag that is meant is spelled as the operator spells: with dots, or with
/// hyphens only.
fn unknown(name: &str) -> ArgvError {
    let bare = name.trim_start_matches('-');
    let flags = ALL.iter().filter(|key| !key.flag.is_empty());
    let meant = if bare.contains('.') {
        nearest(bare, flags.map(|key| key.flag)).map(|flag| format!("--{flag}"))
    } else {
        let options: Vec<String> = flags.map(option).collect();
        nearest(bare, options.iter().filter_map(|option| option.strip_prefix("--")))
            .map(|flag| format!("--{flag}"))
    };
    ArgvError::Unknown(name.to_string(), meant)
}

/// The setting of `--a.b` or `--a-b`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    let bare = name.strip_prefix("--")?;
    ALL.iter().filter(|k| !k.flag.is_empty()).find(|k| k.flag == bare || option(k) == name)
}

#[cfg(test)]
#[path = "argv_tests.rs"]
mod tests;
