//! Programs that fetch an MCP server when they start, which confinement does not let them: how to install it before.
//! Pure.

use super::runs::{innermost, name};

/// How a server is installed.
enum By {
    Npm,
    Pip,
    /// A project of its own.
    Uv,
}

/// A sentence for a command that downloads.
pub fn sentence(argv: &[String]) -> Option<String> {
    let command = innermost(argv);
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let (program, rest) = words.split_first()?;
    let plain: Vec<&str> = rest.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let first = plain.first().copied().unwrap_or_default();
    let second = plain.get(1).copied().unwrap_or_default();
    let (called, by) = match (name(program), first) {
        (npx @ ("npx" | "bunx" | "pnpx"), _) => (npx.to_string(), By::Npm),
        (npm @ ("npm" | "pnpm" | "yarn" | "bun"), word @ ("exec" | "x" | "dlx")) => {
            (format!("{npm} {word}"), By::Npm)
        }
        ("uvx", _) => ("uvx".into(), By::Pip),
        ("pipx", _) => ("pipx".into(), By::Pip),
        ("uv", "tool") if second == "run" => ("uv tool run".into(), By::Pip),
        ("uv", "run") => ("uv run".into(), By::Uv),
        _ => return None,
    };
    let skipped = called.split(' ').count().saturating_sub(1);
    // `pipx run PACKAGE` has its subcommand, but is always called pipx.
    let skipped = if called == "pipx" { 1 } else { skipped };
    let named = ["-p", "--package", "--from", "--spec"];
    let package = match rest.iter().position(|word| named.contains(word)) {
        Some(at) => rest.get(at.saturating_add(1)).copied(),
        None => plain.get(skipped).copied(),
    };
    let package = package.filter(|text| is_package(text)).unwrap_or("PACKAGE");
    let how = match by {
        By::Npm => format!(
            "install it before with `npm install --prefix /opt/mcp {package}` and make the program that this puts into \
             /opt/mcp/node_modules/.bin the command"
        ),
        By::Pip => format!(
            "install it before with `python3 -m venv /opt/mcp && /opt/mcp/bin/pip install {package}` and make the program \
             that this puts into /opt/mcp/bin the command"
        ),
        By::Uv => {
            "run `uv sync` in its directory before and make the program in its .venv/bin the command".into()
        }
    };
    Some(format!("{called} downloads the server when it starts, which confinement does not let it do; {how}"))
}

/// What can be shown and pasted.
fn is_package(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'@' | b'.' | b'_' | b'-' | b'/');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(legal)
}

#[cfg(test)]
#[path = "downloads_tests.rs"]
mod tests;
