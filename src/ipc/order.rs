//! What the broker tells launch: whom to become, and confined how. Pure.

use serde::{Deserialize, Serialize};

use crate::config::confinement::Profile;

/// The longest report of a failure that launch sends back, in bytes.
pub const MAX_REPORT: usize = 512;

/// Handed over by `ipc::handed`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The lowest Landlock ABI to accept.
    pub require: u8,
    /// What the server may touch.
    pub profile: Profile,
    /// Absolute path of the program, then its arguments.
    pub argv: Vec<String>,
}
