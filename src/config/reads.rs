//! The files that the configuration consists of: what a reload reads again, and whose changes are looked for.
//!
//! Broker only. Collected while they are read. Whoever reads another file for the configuration adds it here; then it
//! is watched, and the confined broker may read it again.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::problem::Place;

/// A file that holds a secret, and who could read or change it when it was read.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// The reference to it.
    pub place: Place,
    /// The setting that refers to it.
    pub user: String,
    /// As it is spelled.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its permissions.
    pub mode: u32,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct ReadFiles {
    paths: BTreeSet<PathBuf>,
    secrets: Vec<SecretFile>,
}

impl ReadFiles {
    /// Adds a file, as it is spelled.
    pub fn add(&mut self, path: &Path) {
        self.paths.insert(std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
    }

    /// Remembers who owned the file of a secret.
    pub fn secret(&mut self, path: &Path, place: &Place, user: &str) {
        if let Ok(found) = std::fs::metadata(path) {
            let (path, user) = (path.to_path_buf(), user.to_string());
            self.secrets.push(SecretFile {
                place: place.clone(),
                user,
                path,
                uid: found.uid(),
                mode: found.mode(),
            });
        }
    }

    /// Their paths.
    pub fn paths(&self) -> &BTreeSet<PathBuf> {
        &self.paths
    }

    /// Those that hold secrets.
    pub fn secrets(&self) -> &[SecretFile] {
        &self.secrets
    }
}
