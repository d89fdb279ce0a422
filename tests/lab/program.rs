//! The path of the `lab` command, for tests that need it as a process of its own, such as a stdio MCP server.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The `lab` command beside the running test binary. It is built first when it is missing or older than the test
/// binary, because naming a single test target does not build examples.
#[allow(clippy::disallowed_methods, reason = "a test may build what it needs")]
pub fn program() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        let own = std::env::current_exe().unwrap();
        let path = own.parent().unwrap().parent().unwrap().join("examples/lab");
        let age = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        if age(&path) < age(&own) {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = std::process::Command::new(cargo);
            build.args(["build", "--quiet", "--example", "lab"]).current_dir(env!("CARGO_MANIFEST_DIR"));
            if own.components().any(|c| c.as_os_str() == "release") {
                build.arg("--release");
            }
            // target/<triple>/debug/deps/suite, when a target was named.
            let triple =
                own.ancestors().nth(3).and_then(|dir| dir.file_name()).and_then(|name| name.to_str());
            if let Some(triple) = triple.filter(|name| name.contains("-linux-")) {
                build.args(["--target", triple]);
            }
            let _ = build.status();
        }
        assert!(path.exists(), "{} is missing: cargo build --example lab", path.display());
        path
    };
    PATH.get_or_init(find).clone()
}
