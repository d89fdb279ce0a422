//! What a worker is told that was started for one task alone, and has nobody else to serve. Pure.
//!
//! The task travels like a configuration does: as JSON in a sealed memfd that the only message names. The answer is one
//! message of a type that belongs to the task.

use serde::{Deserialize, Serialize};

use super::digest::sha256_hex;

/// The largest task: it may hold a bundle of trust anchors.
pub const MAX_TASK: u64 = 16 << 20;

/// Broker to worker: the task, in the one memfd that travels with the frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errand {
    /// Length of the memfd in bytes.
    pub size: u64,
    /// SHA-256 of its content, lower-case hex.
    pub sha256: String,
}

impl Errand {
    /// The message about a task of these bytes.
    #[must_use]
    pub fn of(task: &[u8]) -> Self {
        Self { size: u64::try_from(task.len()).unwrap_or(u64::MAX), sha256: sha256_hex(task) }
    }

    /// Whether these bytes are the ones that were meant.
    #[must_use]
    pub fn fits(&self, task: &[u8]) -> bool {
        *self == Self::of(task)
    }
}
