//! `policy suggest` on real MCP servers. It needs the packages that `scripts/test --prepare` installs.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the binary under test is started as an operator starts it, and helpers fail as loudly as the tests"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(crate::place::agent()).args(arguments).env_clear().output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A profile with four real servers over stdio, beside a directory that one of them serves.
fn profile(dir: &Path) -> PathBuf {
    let packages =
        std::env::var("TUNNELWARD_INTEROP").expect("run `scripts/test --prepare` and set TUNNELWARD_INTEROP");
    let node = format!("/usr/bin/node {packages}/node/node_modules/@modelcontextprotocol");
    let (shared, sdk, key) = (dir.join("shared"), dir.join("sdk/sdk_server.py"), dir.join("key"));
    std::fs::create_dir(&shared).unwrap();
    std::fs::create_dir(dir.join("sdk")).unwrap();
    std::fs::copy(crate::place::repository().join("tests/interop/sdk_server.py"), &sdk).unwrap();
    std::fs::write(&key, "sk-test").unwrap();
    let repository = dir.join("repository");
    let made = Command::new("git").args(["init", "--quiet"]).arg(&repository).status().unwrap();
    assert!(made.success(), "git is needed");
    let repository = repository.display();
    let (shared, sdk, key) = (shared.display(), sdk.display(), key.display());
    let yaml = format!(
        "config_version: 1\ncontrol_plane: {{base_url: 'http://127.0.0.1:9', tunnel_id: tunnel_{}, api_key: 'file:{key}'}}\n\
         confinement: {{user: '{}'}}\nmcp:\n  commands:\n  \
         - {{channel: main, command: '{node}/server-everything/dist/index.js stdio'}}\n  \
         - {{channel: files, command: '{node}/server-filesystem/dist/index.js {shared}', confinement: {{read: ['{shared}']}}}}\n  \
         - {{channel: git, command: '{packages}/python/bin/python -m mcp_server_git --repository {repository}', confinement: {{read: ['{repository}']}}}}\n  \
         - {{channel: sdk, command: '{packages}/python/bin/python {sdk} stdio'}}\n",
        "0".repeat(32),
        crate::agent::SOMEBODY,
    );
    let path = dir.join("profile.yaml");
    std::fs::write(&path, yaml).unwrap();
    path
}

/// Channel and tool of every line `tools: ["..."]` with this in front of it.
fn tools<'t>(text: &'t str, front: &str) -> Vec<(&'t str, &'t str)> {
    let mut channel = "";
    let mut found = Vec::new();
    for line in text.lines() {
        channel = line.strip_prefix("  # Channel ").unwrap_or(channel);
        let name = line.strip_prefix(front).and_then(|rest| rest.strip_prefix("tools: [\""));
        found.extend(name.and_then(|rest| rest.strip_suffix("\"]")).map(|name| (channel, name)));
    }
    found
}

#[test]
fn what_suggest_writes_for_real_servers_allows_exactly_the_tools_that_it_says() {
    // Others must be able to enter: the servers run as somebody else.
    let dir = crate::place::servers_dir();
    let path = profile(dir.path());
    let (code, text, err) = run(&["policy", "suggest", "--config", path.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""), "{text}");
    let policy = dir.path().join("policy.yaml");
    std::fs::write(&policy, &text).unwrap();
    let policy = policy.to_str().unwrap();
    let (code, _, err) = run(&["policy", "check", policy]);
    assert_eq!((code, err.as_str()), (0, ""), "{text}");

    let (allowed, candidates) = (tools(&text, "    "), tools(&text, "  #   "));
    for (channel, tool) in [("main", "echo"), ("files", "read_text_file"), ("files", "list_directory")] {
        assert!(allowed.contains(&(channel, tool)), "{channel} {tool}\n{text}");
    }
    let all: Vec<_> = allowed.iter().chain(&candidates).collect();
    for tool in ["git_status", "git_commit", "git_log"] {
        assert!(all.contains(&&("git", tool)), "{tool}\n{text}");
    }
    for (channel, tool) in [("files", "write_file"), ("sdk", "echo")] {
        assert!(candidates.contains(&(channel, tool)), "{channel} {tool}\n{text}");
    }
    let rule = |channel: &str, tool: &str| {
        let (_, out, _) =
            run(&["policy", "explain", "--config", policy, "--channel", channel, "--tool", tool, "--json"]);
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["rule"].as_str().unwrap().to_owned()
    };
    for (channel, tool) in allowed {
        // Whatever its arguments, a rule of its own decides.
        assert!(rule(channel, tool).starts_with(&format!("{channel}-")), "{channel} {tool}");
    }
    for (channel, tool) in candidates {
        assert_eq!(rule(channel, tool), "policy.default", "{channel} {tool}");
    }
}
