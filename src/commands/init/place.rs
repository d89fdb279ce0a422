//! Where a profile and what belongs to it are written: new files for the agent's user alone, taken back when something fails.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::{Answers, Failed, Init, usage};
use crate::config::confinement::Identity;
use crate::config::{self, Host, keys};
use crate::exit::Exit;

/// The profile that is meant when none is named.
const DEFAULT: &str = "sample_mcp_with_dcr";

/// The directory, and what was made so far.
pub struct Place {
    directory: PathBuf,
    name: String,
    owner: Option<Identity>,
    /// Taken back at the end, the last one first.
    made: Vec<PathBuf>,
}

impl Place {
    /// Nothing is made yet.
    pub fn of(init: &Init, host: Host<'_>) -> Result<Self, Failed> {
        let name = init.profile.clone().unwrap_or_else(|| DEFAULT.into());
        if !config::is_profile_name(&name) {
            let legal =
                "it starts with a letter or digit and has at most 128 letters, digits, '.', '_' and '-'";
            return Err(usage(format!("--profile is no name of a profile: {legal}")));
        }
        let by_env = host.env.get(keys::PROFILE_DIR.env).filter(|dir| !dir.trim().is_empty());
        let directory = match init.profile_dir.as_ref().or(by_env) {
            Some(directory) => config::expand(directory.trim(), host),
            None => {
                let own = config::profile_directories(host).into_iter().next();
                own.ok_or_else(|| {
                    usage("--profile-dir is missing: neither XDG_CONFIG_HOME nor HOME says where")
                })?
            }
        };
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        let place = Self { directory, name, owner: None, made: Vec::new() };
        if !init.force && place.profile().symlink_metadata().is_ok() {
            return Err(exists(&place.name));
        }
        Ok(place)
    }

    /// The file of the profile.
    pub fn profile(&self) -> PathBuf {
        // The name may have dots of its own.
        self.directory.join(format!("{}.yaml", self.name))
    }

    /// A file that belongs to it.
    pub fn sibling(&self, end: &str) -> PathBuf {
        self.directory.join(format!("{}.{end}", self.name))
    }

    /// The profile of `tunnel-client` that is likely to be meant: of the same name, or the only one.
    pub fn of_tunnel_client(&self, init: &Init, host: Host<'_>) -> Option<PathBuf> {
        let theirs = config::profile_directories(host).into_iter().nth(1)?;
        if init.profile.is_some() {
            return Some(theirs.join(format!("{}.yaml", self.name))).filter(|path| path.is_file());
        }
        let listed = std::fs::read_dir(theirs).ok()?;
        let mut profiles = listed.flatten().map(|entry| entry.path());
        let mut profiles = profiles.by_ref().filter(|path| path.extension().is_some_and(|end| end == "yaml"));
        let first = profiles.next()?;
        profiles.next().is_none().then_some(first)
    }

    /// Whose the files become, when root makes them.
    pub fn owner(&mut self, owner: Option<Identity>) {
        self.owner = owner;
    }

    /// Writes a new file. One that is there is replaced by `force` alone, as a whole.
    pub fn write(&mut self, path: &Path, content: &[u8], force: bool) -> Result<(), Failed> {
        self.directory()?;
        let fresh = if force { path.with_added_extension("new") } else { path.to_path_buf() };
        let failed = |path: &Path, e: io::Error| match e.kind() {
            io::ErrorKind::AlreadyExists if path == self.profile() => exists(&self.name),
            _ => (Exit::CantCreate, format!("{}: {e}; nothing was written", path.display())),
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|e| failed(&fresh, e))?;
        self.made.push(fresh.clone());
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|e| (Exit::CantCreate, format!("{}: {e}; nothing was written", fresh.display())))?;
        self.give(&fresh)?;
        if fresh != path {
            let renamed = std::fs::rename(&fresh, path);
            renamed.map_err(|e| (Exit::CantCreate, format!("{}: {e}", path.display())))?;
            self.made.pop();
        }
        Ok(())
    }

    /// Gives a file that was made to the agent's user.
    pub fn give(&self, path: &Path) -> Result<(), Failed> {
        let Some(Identity { uid, gid }) = self.owner.filter(|_| path.exists()) else { return Ok(()) };
        chown(path, Some(uid), Some(gid)).map_err(|e| (Exit::CantCreate, format!("{}: {e}", path.display())))
    }

    /// Makes the directory, if it is missing, for its owner alone.
    fn directory(&mut self) -> Result<(), Failed> {
        let missing: Vec<&Path> = self.directory.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev() {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(|e| (Exit::CantCreate, format!("{}: {e}; nothing was written", path.display())))?;
            self.made.push(path.to_path_buf());
        }
        Ok(())
    }

    /// Everything that was made stays. Directories are given to the agent's user, who must get through them.
    pub fn keep(&mut self) {
        for path in std::mem::take(&mut self.made).iter().filter(|path| path.is_dir()) {
            // A reload will say so, and doctor does at once.
            let _ = self.give(path);
        }
    }

    /// What has to be done before the profile can be used.
    pub fn noted(&self, answers: &Answers, user: Option<u32>, host: Host<'_>) -> Vec<(&'static str, String)> {
        let mut notes = Vec::new();
        let mut missing = |name: &str| {
            if !host.env.contains_key(name) {
                notes.push(("Before", format!("set {name} in the environment of doctor and run")));
            }
        };
        match answers.key.split_once(':') {
            Some(("env", name)) => missing(name),
            Some(("credential", _)) => {}
            _ => {}
        }
        for name in super::template::variables(answers.sample) {
            missing(name);
        }
        if answers.pasted.is_some() {
            notes.push(("Key", format!("{} (mode 0600)", self.sibling("key").display())));
        }
        if let Some(uid) = user {
            let why = "since there is no account tunnelward";
            notes.push(("User", format!("{uid}, {why}: confinement.user in the profile")));
        }
        notes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // What cannot be removed is empty, or for its owner alone.
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn exists(name: &str) -> Failed {
    (Exit::CantCreate, format!("profile \"{name}\" already exists; pass --force to replace it"))
}
