//! The paths of the example programs, for tests that need one as a process of its own, such as a stdio MCP server.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The `lab` command.
pub fn program() -> PathBuf {
    directory().join("lab")
}

/// The attackers of `tests/redteam`.
#[allow(dead_code, reason = "the lab itself, which shares this file, has no use for them")]
pub fn attacker() -> PathBuf {
    directory().join("redteam")
}

/// Where both are, for whom the agent becomes too: when root runs the tests, in a copy, since the checkout may be closed
/// to others.
fn directory() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let built = built();
        if rustix::process::geteuid().is_root() { copied(&built) } else { built }
    })
}

/// The examples beside the running test binary. They are built first when one is missing or older than the test binary,
/// because naming a single test target does not build examples.
#[allow(clippy::disallowed_methods, reason = "a test may build what it needs")]
fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let examples = own.parent().unwrap().parent().unwrap().join("examples");
    let age = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let names = ["lab", "redteam"];
    if names.iter().any(|name| age(&examples.join(name)) < age(&own)) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--quiet", "--examples"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        if own.components().any(|c| c.as_os_str() == "release") {
            build.arg("--release");
        }
        // target/<triple>/debug/deps/suite, when a target was named.
        let triple = own.ancestors().nth(3).and_then(|dir| dir.file_name()).and_then(|name| name.to_str());
        if let Some(triple) = triple.filter(|name| name.contains("-linux-")) {
            build.args(["--target", triple]);
        }
        let _ = build.status();
    }
    for name in names {
        assert!(examples.join(name).exists(), "{name} is missing: cargo build --examples");
    }
    examples
}

/// A copy of the examples in a directory that everyone may read and only root may change.
fn copied(built: &Path) -> PathBuf {
    // Each checkout has its own: tests of two may run at the same time.
    let mut hasher = DefaultHasher::new();
    built.hash(&mut hasher);
    let directory = PathBuf::from(format!("/var/tmp/tunnelward-examples-{:016x}", hasher.finish()));
    let _ = std::fs::DirBuilder::new().mode(0o755).create(&directory);
    // The name can be guessed: what someone else made is not used.
    let found = std::fs::symlink_metadata(&directory).unwrap();
    assert!(found.is_dir() && found.uid() == 0, "{} is not root's directory", directory.display());
    for name in ["lab", "redteam"] {
        // Renamed into its place: another test binary may be running what is there.
        let new = directory.join(format!("{name}.{}", std::process::id()));
        std::fs::copy(built.join(name), &new).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, directory.join(name)).unwrap();
    }
    directory
}
