//! The private temporary directories of the MCP servers. Broker only: their common directory is made before it gives up
//! root, one below it when a command is added, and all are removed at the end.

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
    /// How many were made.
    made: u64,
}

impl Scratch {
    /// Makes the common directory below `base` and gives it to `identity`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(base: Option<&str>, name: &str, identity: Option<Identity>) -> io::Result<Self> {
        let base = base.filter(|b| Path::new(b).is_absolute()).unwrap_or(DEFAULT_BASE);
        let top = Path::new(base).join(format!("tunnelward-{name}"));
        make(&top, identity)?;
        Ok(Self { top, made: 0 })
    }

    /// The command with a directory of its own: as `TMPDIR`, unless its entry sets that, and as a place that it may
    /// write to. To be called as the user that the broker became.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn dress(&mut self, mut command: Command) -> io::Result<Command> {
        let own = self.top.join(self.made.to_string());
        make(&own, None)?;
        self.made = self.made.saturating_add(1);
        if let Some(text) = own.to_str() {
            command.env.entry("TMPDIR".into()).or_insert_with(|| text.into());
        }
        command.profile.write.insert(own);
        Ok(command)
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
