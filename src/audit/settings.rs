//! How the log is kept: where, how large, how surely. Pure data, made from the configuration by the broker.

use std::path::PathBuf;
use std::time::Duration;

use super::chain::Key;

/// Everything.
#[derive(Debug)]
pub struct Settings {
    /// The directory.
    pub directory: PathBuf,
    /// When the next file is begun, and how many are kept.
    pub rotation: Rotation,
    /// When a record counts as written.
    pub durability: Durability,
    /// The first key, for a log that does not exist yet.
    pub key: Option<Key>,
    /// Events that could not be written are kept, decisions too: what they are about has happened.
    pub keeps_decisions: bool,
}

/// The bounds of a file and of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes of a file from which on the next one is begun.
    pub size: u64,
    /// The same by age.
    pub age: Duration,
    /// Files that are kept, the current one included.
    pub files: usize,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it.
    Each,
    /// When the kernel has it; the disk, within a second.
    Batch,
    /// When the kernel has it; the disk, when the kernel likes.
    Os,
}
