//! References to values that do not stand in the configuration: `env:NAME`, `file:/path`, `credential:NAME`.
//!
//! Broker only. What a reference yields is wiped when dropped and never part of a message.

use std::path::{Component, Path, PathBuf};

use super::Host;
use super::problem::{Place, Problem};
use super::read::{self, ReadError};
use super::types::Secret;

/// A text understood as a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// An environment variable, set and not empty.
    Env(&'a str),
    /// A file; its content is trimmed.
    File(&'a str),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(&'a str),
}

/// How strictly the prefix is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `Env:` and `ENV:` are prefixes too: file and header values.
    AnyCase,
    /// Only `env:`: the key given as a flag.
    Exact,
}

impl<'a> Reference<'a> {
    /// The reference that a text is, if it is one.
    pub fn parse(text: &'a str, spelling: Spelling) -> Option<Self> {
        let (prefix, rest) = text.trim().split_once(':')?;
        let lower = prefix.to_ascii_lowercase();
        let prefix = if spelling == Spelling::AnyCase { lower.as_str() } else { prefix };
        match prefix {
            "env" => Some(Self::Env(rest.trim())),
            "file" => Some(Self::File(rest.trim())),
            "credential" => Some(Self::Credential(rest.trim())),
            _ => None,
        }
    }

    /// The file that holds the value, where it is a file.
    pub fn held_in(self, host: Host<'_>) -> Option<PathBuf> {
        match self {
            Self::Env(_) => None,
            Self::File(path) => Some(path.into()),
            Self::Credential(name) => {
                host.env.get("CREDENTIALS_DIRECTORY").map(|directory| Path::new(directory).join(name))
            }
        }
    }

    /// The value. `user` is the setting that refers to it, for messages.
    ///
    /// # Errors
    /// One problem that names the variable or file and never its content.
    pub fn resolve(self, host: Host<'_>, place: &Place, user: &str) -> Result<Secret, Problem> {
        match self {
            Self::Env(name) => match host.env.get(name).map(|v| v.trim()) {
                None => Err(Problem::new(
                    place,
                    format!("environment variable {name} referenced by {user} is not set"),
                )
                .hint("set it in the environment of the service, or refer to a file with file:/path")),
                Some("") => Err(Problem::new(
                    place,
                    format!("environment variable {name} referenced by {user} is empty"),
                )),
                Some(value) => Ok(Secret::new(value.to_string())),
            },
            Self::File(path) => file(Path::new(path), place, user),
            Self::Credential(name) => file(&credential(name, host, place, user)?, place, user),
        }
    }

    /// The path of a file: what the variable holds, what stands after `file:`, or where the credential is.
    ///
    /// # Errors
    /// One problem that names the variable or credential.
    pub fn path(self, host: Host<'_>, place: &Place, user: &str) -> Result<String, Problem> {
        match self {
            Self::Env(_) => Ok(self.resolve(host, place, user)?.expose().to_string()),
            Self::File(path) => Ok(path.to_string()),
            Self::Credential(name) => Ok(credential(name, host, place, user)?.display().to_string()),
        }
    }
}

/// Where a credential is.
fn credential(name: &str, host: Host<'_>, place: &Place, user: &str) -> Result<PathBuf, Problem> {
    let mut parts = Path::new(name).components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(Problem::new(place, format!("credential name referenced by {user} must be a file name")));
    }
    match host.env.get("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) {
        Some(directory) => Ok(PathBuf::from(directory).join(name)),
        None => Err(Problem::new(
            place,
            format!(
                "credential {name} referenced by {user} is not available: CREDENTIALS_DIRECTORY is not set"
            ),
        )
        .hint("add LoadCredential= or LoadCredentialEncrypted= to the unit")),
    }
}

fn file(path: &Path, place: &Place, user: &str) -> Result<Secret, Problem> {
    let shown = path.display();
    if !path.is_absolute() {
        return Err(Problem::new(
            place,
            format!("file {shown} referenced by {user} must be an absolute path"),
        ));
    }
    match read::text(path, read::MAX_SECRET) {
        Ok(text) if text.trim().is_empty() => {
            Err(Problem::new(place, format!("file {shown} referenced by {user} is empty")))
        }
        Ok(text) => Ok(Secret::new(text.trim().to_string())),
        Err(error) => {
            let problem = Problem::new(place, format!("file {shown} referenced by {user}: {error}"));
            let refused = matches!(error, ReadError::Io(_));
            Err(if refused { problem.unreadable() } else { problem })
        }
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
