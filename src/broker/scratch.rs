//! The private temporary directories of the MCP servers. Broker only: made before it gives up root, removed at the end.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use crate::config::confinement::Identity;
use crate::config::types::Command;

/// Where it is made when the environment names no `TMPDIR`.
const DEFAULT_BASE: &str = "/tmp";

/// A directory that only we may enter, with one below it for each server.
#[derive(Debug)]
pub struct Scratch {
    top: PathBuf,
}

impl Scratch {
    /// Makes the directories below `base`, gives them to `identity`, and tells each command of its own: as `TMPDIR`,
    /// unless its entry sets that, and as a place that it may write to. `None` when there is no command.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn make(
        base: Option<&str>,
        name: &str,
        identity: Option<Identity>,
        commands: &mut [Command],
    ) -> io::Result<Option<Self>> {
        if commands.is_empty() {
            return Ok(None);
        }
        let base = base.filter(|b| Path::new(b).is_absolute()).unwrap_or(DEFAULT_BASE);
        let top = Path::new(base).join(format!("tunnelward-{name}"));
        make(&top, identity)?;
        let scratch = Self { top };
        for (n, command) in commands.iter_mut().enumerate() {
            let own = scratch.top.join(n.to_string());
            make(&own, identity)?;
            if let Some(text) = own.to_str() {
                command.env.entry("TMPDIR".into()).or_insert_with(|| text.into());
            }
            command.profile.write.insert(own);
        }
        Ok(Some(scratch))
    }

    /// The directory that holds all of them.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Removes everything. To be called when no server is left.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.top)
    }
}

/// A new directory, never one that is there: its name has random digits, and what is there is somebody else's.
fn make(path: &Path, identity: Option<Identity>) -> io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(path)?;
    match identity {
        Some(Identity { uid, gid }) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "scratch_tests.rs"]
mod tests;
