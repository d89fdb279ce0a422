//! Kernels that enforce less: nothing starts below the floor, and the text says what to do; a lower floor serves, and
//! says what it lacks.
//!
//! `redteam outer` is the lesser kernel here; `scripts/kernels` boots a real one.

use crate::agent::{Agent, SOMEBODY, SOON, Setup};
use crate::calls::plan;
use crate::cases::{assert_answered, echo};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::world::World;

/// What the kernel that runs these tests is called.
fn release() -> String {
    rustix::system::uname().release().to_str().unwrap().to_string()
}

/// The configuration's line, which names whom root becomes as well.
fn floor(require: Option<u8>) -> String {
    let mut members: Vec<String> = require.iter().map(|abi| format!("require: {abi}")).collect();
    if rustix::process::geteuid().is_root() {
        members.push(format!("user: \"{SOMEBODY}\""));
    }
    format!("confinement: {{{}}}", members.join(", "))
}

/// Asserts that it ends with 69 before it serves, and returns what it said.
async fn refuses(lesser: &str, require: Option<u8>) -> String {
    let yaml = "control_plane: {base_url: \"http://127.0.0.1:9\", tunnel_id: tunnel_0123456789abcdef0123456789abcdef, \
                api_key: \"env:KEY\"}\nmcp: {server_urls: [{url: \"http://127.0.0.1:8/mcp\"}]}\n";
    let yaml = format!("{yaml}{}\n", floor(require));
    let mut agent: Agent = Setup::new(yaml).env("KEY", "sk-secret").outer(lesser).start();
    let status = agent.ended(SOON).await;
    let said = agent.log().join("\n");
    assert_eq!(status.and_then(|s| s.code()), Some(69), "{lesser}: {said}");
    assert!(!said.contains("worker started"), "{lesser}: {said}");
    said
}

/// Asserts that a call is answered, and returns the log.
async fn serves(lesser: &str, require: Option<u8>) -> Vec<String> {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    let agent = plan().top(&floor(require)).setup(&plane, &stub).outer(lesser).start();
    let world = World { plane, stub, agent };
    world.plane.wait_for_poll(1, SOON).await;
    assert_answered(&world.call(echo("lesser")).await);
    world.end().await
}

fn line<'a>(log: &'a [String], texts: &[&str]) -> &'a str {
    let found = log.iter().find(|line| texts.iter().all(|text| line.contains(text)));
    found.unwrap_or_else(|| panic!("no line with {texts:?} in:\n{}", log.join("\n")))
}

#[tokio::test]
async fn without_landlock_nothing_starts() {
    for lesser in ["--landlock-abi 0", "--refuse landlock_create_ruleset=ENOSYS"] {
        for require in [None, Some(1)] {
            let said = refuses(lesser, require).await;
            for text in
                [release().as_str(), "does not offer Landlock", "landlock_create_ruleset", "lsm=landlock"]
            {
                assert!(said.contains(text), "{lesser}, no {text} in: {said}");
            }
        }
    }
}

#[tokio::test]
async fn below_the_floor_nothing_starts_and_the_text_has_the_line_that_lowers_it() {
    for (abi, open) in [(1, "truncating files"), (2, "truncating files"), (3, "TCP ports")] {
        let said = refuses(&format!("--landlock-abi {abi}"), None).await;
        let has = format!("offers Landlock ABI {abi}, but ABI 4 is required");
        let remedy = format!("confinement: {{require: {abi}}}");
        for text in
            [release().as_str(), &has, open, "TCP ports", "signals to processes", "Linux 6.7", &remedy]
        {
            assert!(said.contains(text), "ABI {abi}, no {text} in: {said}");
        }
    }
}

#[tokio::test]
async fn a_floor_above_the_kernel_is_a_floor_too() {
    let said = refuses("--landlock-abi 5", Some(6)).await;
    assert!(said.contains("offers Landlock ABI 5, but ABI 6 is required"), "{said}");
}

#[tokio::test]
async fn from_the_floor_on_it_serves_with_all_that_the_kernel_has() {
    for abi in 4..=7 {
        let log = serves(&format!("--landlock-abi {abi}"), None).await;
        line(&log, &["broker confined", &format!("landlock_abi={abi}")]);
        assert!(!log.iter().any(|l| l.contains("enforces less than usual")), "{}", log.join("\n"));
    }
}

#[tokio::test]
async fn a_lower_floor_serves_and_the_log_says_what_is_open() {
    for abi in 1..=3 {
        let log = serves(&format!("--landlock-abi {abi}"), Some(abi)).await;
        line(&log, &["broker confined", &format!("landlock_abi={abi}")]);
        let has = format!("Landlock ABI {abi} only");
        line(&log, &["level=WARN", "enforces less than usual", &release(), &has, "TCP ports", "signals to"]);
    }
}

#[tokio::test]
async fn without_seccomp_nothing_starts() {
    for lesser in [
        "--refuse seccomp=ENOSYS",
        "--refuse seccomp=EPERM",
        // Filters are apart here: the one that takes seccomp(2) away is the last that can be installed.
        "--refuse prctl:22=EINVAL --refuse seccomp=ENOSYS",
    ] {
        let said = refuses(lesser, Some(1)).await;
        for text in [release().as_str(), "does not offer seccomp filters", "seccomp(2)", "SystemCallFilter="]
        {
            assert!(said.contains(text), "{lesser}, no {text} in: {said}");
        }
    }
}

#[tokio::test]
async fn without_close_range_nothing_starts() {
    let said = refuses("--refuse close_range=ENOSYS", Some(1)).await;
    assert!(said.contains("close_range") && said.contains("Linux 5.9"), "{said}");
}

#[tokio::test]
async fn a_kernel_without_mdwe_is_served_by_the_filters_alone() {
    let log = serves("--refuse prctl:65=EINVAL", None).await;
    line(&log, &["broker confined"]);
}

/// Asks for a ruleset that handles all rights up to the given bit, on files and on the network; prints the error.
const RULESET: &str = "
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
files, net = int(sys.argv[1]), int(sys.argv[2])
attributes = (ctypes.c_uint64 * 2)((1 << files) - 1, (1 << net) - 1)
fd = libc.syscall(444, attributes, ctypes.c_size_t(16), ctypes.c_uint32(0))
print('fine' if fd >= 0 else ctypes.get_errno())
";

#[test]
fn the_pretended_kernel_refuses_what_it_does_not_know() {
    let ask = |abi: u8, files: u8, net: u8| {
        let mut command = std::process::Command::new(crate::lab::attacker());
        command.args(["outer", "--landlock-abi", &abi.to_string(), "/usr/bin/python3", "-c", RULESET]);
        let output = command.args([files.to_string(), net.to_string()]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    };
    for (abi, files) in [(1, 13), (2, 14), (3, 15), (4, 15), (5, 16), (6, 16), (7, 16)] {
        let net = if abi < 4 { 0 } else { 2 };
        assert_eq!(ask(abi, files, net), "fine", "ABI {abi}");
        // EINVAL for a right; E2BIG for a member that must be zero.
        assert_eq!(ask(abi, files + 1, net), "22", "ABI {abi}");
        assert_eq!(ask(abi, files, net + 1), if abi < 4 { "7" } else { "22" }, "ABI {abi}");
    }
}

#[tokio::test]
async fn a_service_on_a_lesser_kernel_is_asked_for_its_health_by_a_process_on_the_same() {
    let world = crate::asking::world(crate::asking::plan("")).await;
    crate::asking::until(&world.agent, None).await;
    let url = format!("http://{}", crate::asking::address(&world.agent).await);
    for (lesser, code) in [("--landlock-abi 1", 0), ("--landlock-abi 0", 2)] {
        let mut command = std::process::Command::new(crate::lab::attacker());
        command.arg("outer").args(lesser.split(' ')).arg(crate::place::agent());
        command.args(["ready", "--url", &url]).env_clear();
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{lesser}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(said.contains("does not offer Landlock"), code == 2, "{said}");
    }
    world.end().await;
}
