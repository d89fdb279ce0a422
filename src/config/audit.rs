//! What the configuration says about the audit log. Pure data, made by `config::check` and used by the broker.

use std::path::PathBuf;
use std::time::Duration;

use super::secret::Kept;

/// `audit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// `audit.path`: the directory.
    pub path: PathBuf,
    /// `audit.rotation.size`: bytes of a file from which on the next one is begun.
    pub rotation_size: u64,
    /// `audit.rotation.age`: the same by age.
    pub rotation_age: Duration,
    /// `audit.rotation.files`: files that are kept.
    pub rotation_files: usize,
    /// `audit.durability`.
    pub durability: Durability,
    /// `audit.on_failure`.
    pub on_failure: OnFailure,
    /// `audit.key`: 64 hex digits, for a log that does not exist yet.
    pub key: Option<Kept>,
    /// `audit.checkpoints`: how often one goes to the log of the service; `None` for never.
    pub checkpoints: Option<Duration>,
}

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the disk has it.
    Each,
    /// When the kernel has it; the disk follows within a second.
    #[default]
    Batch,
    /// When the kernel has it.
    Os,
}

/// What follows when a record cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The service ends with exit code 73.
    Stop,
    /// Calls are refused until records can be written again.
    #[default]
    Refuse,
    /// Calls are forwarded without a record.
    Continue,
}
