//! Completions in the shells themselves, the manual page by those who format it, the schema by those who use it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::place::{agent, repository};

/// What the agent prints for these arguments.
fn printed(arguments: &[&str]) -> String {
    let ran = Command::new(agent()).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Runs a command with the agent as `tunnelward` in its path, and returns what it says.
fn by(program: &str, arguments: &[&str], dir: &Path) -> String {
    let bin = dir.join("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(agent(), bin.join("tunnelward")).unwrap();
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
    let ran = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([
            ("PATH", path.as_str()),
            ("HOME", dir.to_str().unwrap()),
            ("TERM", "dumb"),
            ("LC_ALL", "C.UTF-8"),
        ])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; scripts/test --prepare installs it"));
    String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr)
}

fn script(dir: &Path, shell: &str) -> String {
    let path = dir.join(format!("completion.{shell}"));
    std::fs::write(&path, printed(&["completions", shell])).unwrap();
    std::fs::write(dir.join("profile.yaml"), "").unwrap();
    path.display().to_string()
}

#[test]
fn bash_completes_commands_flags_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let script = script(dir.path(), "bash");
    let complete = |words: &str, count: usize| {
        let line = format!(
            "source {script}; COMP_WORDS=({words}); COMP_CWORD={count}; \
             $(complete -p tunnelward | sed 's/.*-F \\([^ ]*\\).*/\\1/') tunnelward; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        by("bash", &["--norc", "-c", &line], dir.path())
    };
    assert_eq!(complete("tunnelward conf", 1), "config\nconfinement\n");
    assert_eq!(complete("tunnelward config sho", 2), "show\n");
    assert_eq!(
        complete("tunnelward config show --control-plane.poll-t", 3),
        "--control-plane.poll-timeout\n"
    );
    // A value is a file, as far as anybody knows: bash's own completion is asked for.
    let line = format!("source {script}; printf '%s\\n' tunnelward > /dev/null; complete -p tunnelward");
    assert_eq!(by("bash", &["--norc", "-c", &line], dir.path()), "complete -F _tunnelward tunnelward\n");
}

#[test]
fn zsh_completes_commands_and_flags() {
    let dir = tempfile::tempdir().unwrap();
    let script = script(dir.path(), "zsh");
    // A terminal of its own, in which keys are pressed.
    let session = format!(
        r#"zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1="% "; autoload -U compinit; compinit -D -u; source {script}; echo rea""dy'
zpty -r -m z x '*ready*'
press() {{ zpty -w -n z "$1"; local n; for n in {{1..100}}; do sleep 0.1; zpty -r -t z x && print -rn -- "$x"; [[ $x == *$2* ]] && break; done; }}
press $'tunnelward config sho\t' 'show '
press $'\x15tunnelward run --control-plane.poll-ti\t' 'timeout '
zpty -d z
"#
    );
    let path = dir.path().join("session");
    std::fs::write(&path, session).unwrap();
    let seen = by("zsh", &["-f", path.to_str().unwrap()], dir.path());
    // What is typed is echoed with escapes between; what the shell adds stands together.
    let plain: String = seen.chars().filter(|c| !c.is_control()).collect();
    assert!(plain.contains("show"), "{seen:?}");
    assert!(plain.contains("--control-plane.poll-timeout"), "{seen:?}");
}

#[test]
fn fish_completes_commands_flags_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let script = script(dir.path(), "fish");
    let complete = |line: &str| {
        by("fish", &["--no-config", "-c", &format!("source {script}; complete -C '{line}'")], dir.path())
    };
    assert_eq!(
        complete("tunnelward conf"),
        "config\tlook at the configuration\nconfinement\tshow what each process may do on this kernel, as processes that are really confined report it\n"
    );
    assert!(complete("tunnelward config sho").starts_with("show\t"));
    assert!(complete("tunnelward run --control-plane.poll-t").starts_with("--control-plane.poll-timeout\t"));
    assert!(complete("tunnelward run --config prof").starts_with("profile.yaml"));
}

#[test]
fn the_manual_page_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("tunnelward.1");
    let text = printed(&["help", "man"]);
    std::fs::write(&page, &text).unwrap();
    let page = page.to_str().unwrap();
    assert_eq!(by("mandoc", &["-T", "lint", "-W", "error", page], dir.path()), "");
    let shown = by("mandoc", &["-T", "utf8", page], dir.path());
    let plain: String = {
        // Bold is a character, a backspace and the character again.
        let chars: Vec<char> = shown.chars().collect();
        let kept = |n: usize| chars.get(n + 1) != Some(&'\u{8}') && chars[n] != '\u{8}';
        (0..chars.len()).filter(|n| kept(*n)).map(|n| chars[n]).collect()
    };
    for key in tunnelward::config::keys::ALL.iter().filter(|key| !key.flag.is_empty()) {
        assert!(plain.contains(&format!("--{}", key.flag)), "{} is not in the page", key.flag);
    }
    for text in [
        "tunnelward audit verify",
        "tunnelward config show",
        "EXIT-CODES",
        "CONTROL_PLANE_TUNNEL_ID",
        "{channel: main, url:",
    ] {
        assert!(plain.contains(text), "{text} is not in the page");
    }
}

/// Asks `jsonschema` whether the schema is one, and which of the files it takes.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator as V
schema, files = json.load(sys.stdin)
V.check_schema(schema)
print(json.dumps([V(schema).is_valid(file) for file in files]))
";

#[test]
fn the_schema_is_one_and_takes_what_is_right_only() {
    let interop = std::env::var("TUNNELWARD_INTEROP")
        .expect("scripts/test --prepare installs jsonschema and says where");
    let files = r#"[{}, {"log":{"level":"info"},"control_plane":{"tunnel_id":"tunnel_0123456789abcdefghijklmnopqrstuv"}},
        {"policy":"file:/etc/tunnelward/policy.yaml","reload_interval":0}, {"policy":{"version":1,"rules":[{"id":"a","tools":["b"]}]}},
        {"log":{"levle":"info"}}, {"log":{"level":"loud"}}, {"control_plane":{"max_inflight_requests":0}}, {"drain_timeout":"soon"},
        {"policy":{"version":1,"rules":[{"id":"a","toolz":["b"]}]}}, {"policy":"/etc/tunnelward/policy.yaml"}]"#;
    let mut python = Command::new(Path::new(&interop).join("python/bin/python"))
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("[{}, {files}]", printed(&["config", "schema"]));
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = python.wait_with_output().unwrap();
    assert!(ran.status.success());
    let verdicts: Vec<bool> = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(verdicts, [vec![true; 4], vec![false; 6]].concat());
}

#[test]
fn the_facts_of_the_build_are_those_of_the_build() {
    let facts: serde_json::Value = serde_json::from_str(&printed(&["version", "--json"])).unwrap();
    let lock = std::fs::read_to_string(repository().join("Cargo.lock"));
    assert_eq!(facts["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(facts["format"], 1);
    assert!(facts["target"].as_str().unwrap().ends_with("-unknown-linux-musl"));
    assert!(facts["rustc"].as_str().unwrap().starts_with("rustc 1."));
    assert_eq!(facts["static"], true);
    let seccomp = facts["seccomp_sha256"].as_str().unwrap();
    assert!(seccomp.len() == 64 && seccomp == tunnelward::confine::seccomp::digest());
    // The copy that nobody's tests run from has no lock file.
    if let Ok(lock) = lock {
        let provider = facts["tls_provider"].as_str().unwrap().strip_prefix("aws-lc-rs ").unwrap();
        assert!(lock.contains(&format!("name = \"aws-lc-rs\"\nversion = \"{provider}\"\n")));
    }
    let text = facts.to_string();
    assert!(!text.contains("/root") && !text.contains("/home"), "{text}");
    assert_eq!(printed(&["--version"]), format!("tunnelward {}\n", env!("CARGO_PKG_VERSION")));
}
