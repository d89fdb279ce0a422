//! Looks for changes of the files that the configuration was read from. Broker only.
//!
//! A file has changed when its content has; its state (device, inode, size, time) only says when to look. Of the content
//! a digest is kept.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::config;
use crate::config::types::Config;
use crate::ipc::digest::sha256_hex;

/// What says that a file may have changed: device, inode, size, and time in seconds and nanoseconds.
type State = (u64, u64, u64, i64, i64);

#[derive(Debug)]
struct Seen {
    path: PathBuf,
    state: Option<State>,
    /// `None` when it cannot be read.
    digest: Option<String>,
}

/// All files of a configuration.
#[derive(Debug)]
pub struct Files {
    seen: Vec<Seen>,
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Files {
    /// Those of a configuration, as they are now.
    #[must_use]
    pub fn of(config: &Config, now: Instant) -> Self {
        Self::new(&config.files, config.reload_interval, now)
    }

    fn new(paths: &BTreeSet<PathBuf>, every: Option<Duration>, now: Instant) -> Self {
        let seen =
            paths.iter().map(|path| Seen { path: path.clone(), state: state(path), digest: digest(path) });
        Self { seen: seen.collect(), every, next: every.map(|every| now + every) }
    }

    /// Where a file was another `before` it was read for the configuration, it is not known what was read: it counts as
    /// changed at the next look.
    #[must_use]
    pub fn unless_changed_since(mut self, before: &Self) -> Self {
        for seen in &mut self.seen {
            let other = before.seen.iter().find(|other| other.path == seen.path);
            if other.is_some_and(|other| other.digest != seen.digest) {
                (seen.state, seen.digest) = (None, None);
            }
        }
        self
    }

    /// Those that cannot be read, so that neither a change is seen nor a reload possible.
    pub fn unreadable(&self) -> impl Iterator<Item = &Path> {
        self.seen.iter().filter(|seen| seen.digest.is_none()).map(|seen| seen.path.as_path())
    }

    /// When to look again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// The first file whose content is another than at the last look. Looks only when that is due.
    pub fn changed(&mut self, now: Instant) -> Option<PathBuf> {
        if self.next.is_none_or(|next| now < next) {
            return None;
        }
        self.next = self.every.map(|every| now + every);
        let mut changed = None;
        for seen in &mut self.seen {
            let state = state(&seen.path);
            if state == seen.state {
                continue;
            }
            seen.state = state;
            let digest = digest(&seen.path);
            if digest != seen.digest {
                seen.digest = digest;
                changed = changed.or_else(|| Some(seen.path.clone()));
            }
        }
        changed
    }
}

fn state(path: &Path) -> Option<State> {
    let found = path.metadata().ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn digest(path: &Path) -> Option<String> {
    config::file(path).ok().map(|bytes| sha256_hex(&bytes))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
