//! What a process of the probe is told, and what it says. Pure.

use serde::{Deserialize, Serialize};

use crate::config::confinement::{Identity, Profile};
use crate::config::types;
use crate::confine::attempts::{Context, Outcome};
use crate::confine::landlock::Grants;
use crate::confine::report::Report;

/// The largest frame that is said: a report with the paths of a large configuration.
pub const MAX_WORD: usize = 128 * 1024;

/// What a process becomes, and what it attempts then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The lowest Landlock ABI to accept.
    pub require: u8,
    /// What it becomes.
    pub post: Post,
    /// What it attempts; nothing but a report is wanted if there is none.
    pub attempt: Option<Try>,
}

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Try {
    /// Its name.
    pub name: String,
    /// What it is made on.
    pub context: Context,
}

/// What a process becomes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Post {
    /// Confined as the broker.
    Broker {
        /// Whom root becomes.
        identity: Option<Identity>,
        /// What is granted.
        grants: Grants,
    },
    /// Confined as the worker.
    Worker(Box<types::Worker>),
    /// Confined as an MCP server.
    Child(Profile),
    /// A broker that starts others: they inherit what it has, as they do from the real one.
    Foreman {
        /// Whom root becomes.
        identity: Option<Identity>,
        /// What is granted.
        grants: Grants,
        /// What the others do.
        tasks: Vec<Task>,
    },
    /// An ordinary process of the user, on which attempts are made. It does nothing.
    Neighbour {
        /// Whom root becomes.
        identity: Option<Identity>,
    },
}

/// What a process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Word {
    /// It is confined like this; the attempt follows.
    Confined(Box<Report>),
    /// It is there.
    Ready {},
    /// The attempt ended like this.
    Ended(Outcome),
    /// It could not be confined.
    Failed(String),
    /// A foreman's: what became of one of its tasks, in their order.
    Seen(Box<Seen>),
}

/// What was seen of a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// What it said of itself.
    pub report: Option<Report>,
    /// How its attempt ended.
    pub outcome: Option<Outcome>,
    /// Why there is nothing to see.
    pub failed: Option<String>,
}
