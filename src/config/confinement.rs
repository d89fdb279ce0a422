//! What the configuration says about confinement: whom the broker becomes, which floor the kernel must reach, and
//! what one stdio MCP server may touch.
//!
//! Pure data, made by `config::check` in the broker and used by `confine`. Nothing here opens a file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::log::Level;

/// The lowest Landlock ABI that `confinement.require` may name: below it there is no Landlock.
pub const LOWEST_ABI: u8 = 1;
/// The floor when the configuration names none: TCP ports are enforced from here on (Linux 6.7).
pub const DEFAULT_ABI: u8 = 4;
/// The highest Landlock ABI that this version knows the rights of.
pub const HIGHEST_ABI: u8 = 10;
/// Processes and threads that a stdio MCP server may add to those that exist, when its entry names no number.
pub const DEFAULT_PROCESSES: u32 = 256;

/// `confinement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// `confinement.require`: the Landlock ABI below which nothing starts.
    pub require: u8,
    /// `confinement.user` and `confinement.group`: whom the broker becomes. `None` when it was not started as root.
    pub identity: Option<Identity>,
    /// `confinement.on_violation`.
    pub on_violation: OnViolation,
}

/// A user and a group, neither of them root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group; there are no supplementary ones.
    pub gid: u32,
}

/// What follows when the worker was killed by its own filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// The service ends with exit code 100: a human should look.
    #[default]
    Stop,
    /// The worker is replaced, within the restart budget, as after any other death.
    Restart,
}

/// One thing that a stdio MCP server does without, as a sentence with the line that grants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// A warning where it looks as if the server needed it, else a piece of information.
    pub level: Level,
    /// The sentence; it never contains the value of a variable.
    pub sentence: String,
}

/// What a stdio MCP server may touch: the ruled default and what `mcp.commands[].confinement` adds to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Files and directories (with all below) that it may read.
    pub read: BTreeSet<PathBuf>,
    /// Files and directories (with all below) that it may read and change.
    pub write: BTreeSet<PathBuf>,
    /// Files and directories (with all below) that it may read and execute.
    pub execute: BTreeSet<PathBuf>,
    /// TCP ports that it may connect to; without any it gets no internet socket at all.
    pub tcp_ports: BTreeSet<u16>,
    /// Whether it may create Unix sockets to connect to others (`socketpair` is always allowed).
    pub unix_sockets: bool,
    /// Processes and threads that it may add to those that exist on the machine when it starts.
    pub max_processes: u32,
}

impl Profile {
    /// Whether a path without symbolic links may be read.
    #[must_use]
    pub fn covers(&self, path: &Path) -> bool {
        let mut granted = self.read.iter().chain(&self.write).chain(&self.execute);
        granted.any(|granted| path.starts_with(granted))
    }
}
