//! Tests in a network and a table of mounts of their own: names, addresses and cables that the machine knows nothing of.

use std::process::Command;

const INSIDE: &str = "TUNNELWARD_SUITE_INSIDE";

/// Runs the calling test again where network and mounts are its own, and says whether this is that run. The caller
/// passes its own path, as in `names::hosts`; what the run prints is shown when it fails.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--map-current-user", "--keep-caps"]);
    }
    command.args(["sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let ran = command.output().expect("unshare is part of util-linux");
    let said = String::from_utf8_lossy(&ran.stdout);
    let failed = String::from_utf8_lossy(&ran.stderr);
    eprint!("{said}{failed}");
    assert!(ran.status.success() && said.contains("1 passed"), "{test} failed in its own network");
    false
}

/// What starts the agent in there: an ordinary user stays one, and what set the network up is given away again.
pub fn agent_before() -> &'static [&'static str] {
    if std::env::var_os(INSIDE).is_some() && !rustix::process::geteuid().is_root() {
        return &["setpriv", "--inh-caps=-all", "--ambient-caps=-all"];
    }
    &[]
}

/// Runs a command, which must succeed, and returns what it wrote.
pub fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let ran = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).trim().into()
}

/// Puts a file of this content in the place of another, for this test only.
pub fn replace(path: &str, dir: &std::path::Path, content: &str) {
    let own = dir.join(path.trim_start_matches('/').replace('/', "-"));
    std::fs::write(&own, content).unwrap();
    run(&format!("mount --bind {} {path}", own.display()));
}
