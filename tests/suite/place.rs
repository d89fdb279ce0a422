//! Where the repository and the agent under test are: where cargo built them, or in a copy of both.
//!
//! `scripts/test` makes the copy, for a user who may not read the checkout.

use std::path::PathBuf;

use crate::agent::SOMEBODY;

/// The copy, if these tests run from one.
fn copy() -> Option<PathBuf> {
    std::env::var_os("TUNNELWARD_SUITE_ROOT").map(PathBuf::from)
}

/// The top directory of the repository.
pub fn repository() -> PathBuf {
    copy().unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
}

/// The agent under test: the release, where `scripts/test` names it, or the one that was built together with these tests.
pub fn agent() -> PathBuf {
    let built = || match copy() {
        Some(copy) => copy.join("target/debug/tunnelward"),
        None => env!("CARGO_BIN_EXE_tunnelward").into(),
    };
    std::env::var_os("TUNNELWARD_SUITE_AGENT").map_or_else(built, PathBuf::from)
}

/// A directory that the agent's servers may reach: it belongs to whom the agent becomes.
pub fn servers_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    }
    dir
}

/// Whether a test that wants a network of its own has to do with the machine's loopback.
pub fn shares_network() -> bool {
    std::env::var_os("TUNNELWARD_SUITE_NETWORK").is_some_and(|how| how == "shared")
}
