//! The agent's own files: its configuration, the secrets that it reads, its log. No MCP server may reach one.
//!
//! Broker only. Collected while the configuration is read: [`Sources::resolve`] is the one way to a secret in a
//! file, so none is forgotten. Nothing is opened here; symbolic links are followed, because what a confined process
//! reaches is decided by the file and not by its name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Host;
use super::problem::{Place, Problem};
use super::raw::File;
use super::reference::Reference;
use super::sources::Sources;
use super::types::Secret;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnFile {
    /// The setting that names it.
    pub name: String,
    /// Where it is, with symbolic links followed as far as they exist.
    pub path: PathBuf,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct OwnFiles {
    files: Vec<OwnFile>,
    /// Variables that the configuration refers to, which are as much its own as the files.
    variables: BTreeSet<String>,
}

impl OwnFiles {
    /// Those that are known before anything is read.
    pub fn of(file: Option<&File>, host: Host<'_>) -> Self {
        let mut own = Self::default();
        if let Some(file) = file {
            own.add("the configuration", &file.path);
        }
        if let Some(directory) = host.env.get("CREDENTIALS_DIRECTORY").filter(|d| !d.is_empty()) {
            own.add("CREDENTIALS_DIRECTORY", Path::new(directory));
        }
        own
    }

    /// Adds a file or directory. It need not exist, as a log file at the first start.
    pub fn add(&mut self, name: &str, path: &Path) {
        let path = real(path);
        // `/dev/null` and pipes are nobody's secrets.
        if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return;
        }
        if !self.files.iter().any(|own| own.path == path) {
            self.files.push(OwnFile { name: name.into(), path });
        }
    }

    /// The first that lies at or below `granted`, a path without symbolic links, or of which `granted` is a part. What
    /// the entry at `entry` (`mcp.commands[0]`) names is given to that MCP server anyway.
    pub fn within(&self, granted: &Path, entry: &str) -> Option<&OwnFile> {
        let given = |own: &OwnFile| own.name.strip_prefix(entry).is_some_and(|rest| rest.starts_with('.'));
        self.files
            .iter()
            .find(|own| (own.path.starts_with(granted) || granted.starts_with(&own.path)) && !given(own))
    }

    /// Whether the configuration refers to an environment variable.
    pub fn has_variable(&self, name: &str) -> bool {
        self.variables.contains(name)
    }

    /// Their paths.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|own| own.path.clone()).collect()
    }
}

impl Sources<'_> {
    /// The value of a reference. The file or variable that it comes from is henceforth one of the agent's own.
    ///
    /// # Errors
    /// See [`Reference::resolve`].
    pub fn resolve(
        &mut self,
        reference: Reference<'_>,
        place: &Place,
        user: &str,
    ) -> Result<Secret, Problem> {
        match reference {
            Reference::File(path) => self.own.add(&place.path, Path::new(path)),
            Reference::Env(name) => drop(self.own.variables.insert(name.into())),
            // Their directory is one of them.
            Reference::Credential(_) => {}
        }
        let found = reference.resolve(self.host, place, user)?;
        if let Some(path) = reference.held_in(self.host) {
            self.read.add(&path);
            // Credentials are the service manager's: it sees to who may read them.
            if matches!(reference, Reference::File(_)) {
                self.read.secret(&path, place, user);
            }
        }
        Ok(found)
    }

    /// The path that a reference stands for. The variable that holds it is henceforth the agent's own; whether the
    /// file is depends on what it is for.
    ///
    /// # Errors
    /// See [`Reference::path`].
    pub fn path_of(
        &mut self,
        reference: Reference<'_>,
        place: &Place,
        user: &str,
    ) -> Result<String, Problem> {
        if let Reference::Env(name) = reference {
            self.own.variables.insert(name.into());
        }
        reference.path(self.host, place, user)
    }
}

/// The path with symbolic links followed; of a file that does not exist, those of its directory.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let directory = path.parent().and_then(|parent| parent.canonicalize().ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_path_buf(),
    }
}
