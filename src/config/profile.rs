//! Which file is read: `--config`, `--profile`, `--profile-file`, their variables, and the profile directories.
//!
//! Broker only.

use std::path::{Path, PathBuf};

use super::Host;
use super::keys::{self, Key};
use super::problem::{Place, Problem, show};
use super::sources::Flags;

/// The selectors, of which one may be used.
const SELECTORS: [Key; 3] = [keys::CONFIG, keys::PROFILE, keys::PROFILE_FILE];

/// The file to read; `None` when none is named (everything then comes from flags and environment).
///
/// # Errors
/// When two are named at once, a name is illegal, or a profile is in none of the directories.
pub fn select(flags: &Flags, host: Host<'_>) -> Result<Option<PathBuf>, Problem> {
    let by_flag = |key: &Key| flags.last(key.flag).filter(|v| !v.trim().is_empty());
    let by_env = |key: &Key| host.env.get(key.env).map(String::as_str).filter(|v| !v.trim().is_empty());
    // Any selector among the flags makes those of the environment irrelevant.
    let named: Vec<(Place, &Key, &str)> = SELECTORS
        .iter()
        .filter_map(|k| by_flag(k).map(|v| (Place::named(format!("--{}", k.flag)), k, v.trim())))
        .collect();
    let named: Vec<(Place, &Key, &str)> = if named.is_empty() {
        SELECTORS.iter().filter_map(|k| by_env(k).map(|v| (Place::named(k.env), k, v.trim()))).collect()
    } else {
        named
    };
    let mut named = named.into_iter();
    let Some((place, key, value)) = named.next() else { return Ok(None) };
    if let Some((other, ..)) = named.next() {
        let why = format!("{} and {} are mutually exclusive", place.path, other.path);
        return Err(Problem::new(&place, why).hint("give one of them"));
    }
    match *key {
        keys::PROFILE => {
            let directory = by_flag(&keys::PROFILE_DIR).or_else(|| by_env(&keys::PROFILE_DIR));
            profile(value, &place, directory.map(str::trim), host).map(Some)
        }
        keys::PROFILE_FILE if !value.ends_with(".yaml") => {
            let why = format!("{} must end with .yaml", place.path);
            Err(Problem::new(&place, why)
                .found(show(value))
                .hint("any other file can be named with --config"))
        }
        _ => Ok(Some(expand(value, host))),
    }
}

/// Whether a text can be the name of a profile.
pub fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    name.len() <= 128 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(legal)
}

fn profile(name: &str, place: &Place, directory: Option<&str>, host: Host<'_>) -> Result<PathBuf, Problem> {
    if !is_name(name) {
        let why = format!("invalid profile name {}", show(name));
        return Err(Problem::new(place, why).hint(
            "a name starts with a letter or digit and has at most 128 letters, digits, '.', '_' and '-'",
        ));
    }
    let directories = match directory {
        Some(directory) => vec![expand(directory, host)],
        None => directories(host),
    };
    let places: Vec<PathBuf> = directories.iter().map(|d| d.join(format!("{name}.yaml"))).collect();
    // A file that exists but cannot be read is taken, so that its error is reported instead of another file used.
    let there = |path: &&PathBuf| !matches!(std::fs::symlink_metadata(path), Err(e) if e.kind() == std::io::ErrorKind::NotFound);
    match places.iter().find(there) {
        Some(path) => Ok(path.clone()),
        None => {
            let looked: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
            let why = format!("profile {} was not found", show(name));
            Err(Problem::new(place, why)
                .found(if looked.is_empty() {
                    "no profile directory".into()
                } else {
                    format!("neither of {}", looked.join(", "))
                })
                .hint("create it, or name its directory with --profile-dir"))
        }
    }
}

/// Our directory first, then that of `tunnel-client`.
pub fn directories(host: Host<'_>) -> Vec<PathBuf> {
    let absolute = |name: &str| host.env.get(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let user = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|h| h.join(".config")));
    let own = if host.is_root() {
        Some(PathBuf::from("/etc/tunnelward"))
    } else {
        user.as_ref().map(|u| u.join("tunnelward"))
    };
    own.into_iter().chain(user.map(|u| u.join("tunnel-client"))).collect()
}

/// Replaces a leading `~/` by the home directory.
pub fn expand(path: &str, host: Host<'_>) -> PathBuf {
    match (path.strip_prefix("~/"), host.env.get("HOME")) {
        (Some(rest), Some(home)) if !home.is_empty() => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
