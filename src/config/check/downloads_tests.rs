use super::*;

fn of(command: &str) -> Option<String> {
    sentence(&crate::config::shell::split(command).unwrap())
}

#[test]
fn programs_that_download_are_answered_with_how_to_install() {
    let npm = |package: &str| format!("`npm install --prefix /opt/mcp {package}`");
    let pip = |package: &str| format!("/opt/mcp/bin/pip install {package}`");
    for (command, called, how) in [
        ("/usr/bin/npx -y @scope/server /data", "npx", npm("@scope/server")),
        ("npx --yes -p @a/b c", "npx", npm("@a/b")),
        ("npx 'odd name$'", "npx", npm("PACKAGE")),
        ("npx", "npx", npm("PACKAGE")),
        ("npm exec -- thing", "npm exec", npm("thing")),
        ("npm x thing", "npm x", npm("thing")),
        ("pnpm dlx thing", "pnpm dlx", npm("thing")),
        ("env A=b npx thing", "npx", npm("thing")),
        ("sh -c 'exec npx thing --x'", "npx", npm("thing")),
        ("/bin/sh -c 'A=1 uvx thing'", "uvx", pip("thing")),
        ("uvx --from git-server thing", "uvx", pip("git-server")),
        ("pipx run thing", "pipx", pip("thing")),
        ("uv tool run thing", "uv tool run", pip("thing")),
        ("uv --quiet run server.py", "uv run", "`uv sync`".into()),
    ] {
        let sentence = of(command).unwrap_or_else(|| panic!("{command}"));
        assert!(sentence.starts_with(&format!("{called} downloads")), "{command}: {sentence}");
        assert!(sentence.contains(&how), "{command}: {sentence}");
    }
}

#[test]
fn other_programs_are_left_alone() {
    for command in [
        "node npx.js",
        "npm start",
        "uv pip list",
        "/opt/npx/server",
        "sh -c 'npx thing; true'",
        "python3 -m uvx",
        "uv tool list",
        "bun index.js",
        "env",
    ] {
        assert_eq!(of(command), None, "{command}");
    }
}
