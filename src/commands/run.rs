//! `run`, and the two hidden roles that it starts.

use super::cli::Launch;
use crate::config::Config;
use crate::exit::Exit;

/// Becomes the broker.
pub fn run(config: Config) -> Exit {
    drop(config);
    Exit::Unavailable
}

/// Becomes the worker.
pub fn worker() -> Exit {
    Exit::Unavailable
}

/// Becomes a stdio MCP server.
pub fn launch(launch: Launch) -> Exit {
    drop(launch);
    Exit::Unavailable
}
