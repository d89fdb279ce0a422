//! The answers: from the flags, and on a terminal from questions for what they leave out.

use std::io::Write as _;

use zeroize::Zeroizing;

use super::template::Server;
use super::{Answers, Failed, Init, KEY_REFERENCE, sample, usage};
use crate::exit::Exit;
use crate::sys::terminal;

/// How often a question is asked again.
const ATTEMPTS: usize = 5;

/// All of them.
pub fn answers(init: &Init, terminal: bool) -> Result<Answers, Failed> {
    let chosen = sample(init)?;
    if init.mcp_server_url.is_some() && init.mcp_command.is_some() {
        return Err(usage(
            "--mcp-server-url and --mcp-command are mutually exclusive; more channels go into the profile",
        ));
    }
    let tunnel_id = match &init.tunnel_id {
        Some(id) => id.trim().to_owned(),
        None if terminal => {
            question("Tunnel id (tunnel_ and 32 lower-case letters or digits)", is_tunnel_id)?
        }
        None => return Err(usage("--tunnel-id is missing")),
    };
    let server = match (&init.mcp_server_url, &init.mcp_command) {
        (Some(url), _) => Server::Url(url.clone()),
        (None, Some(command)) => Server::Command(command.clone()),
        (None, None) if terminal => {
            server(question("MCP server (its URL, or the command that starts it)", |_| true)?)
        }
        (None, None) => return Err(usage("--mcp-server-url or --mcp-command is missing")),
    };
    let by_server = match server {
        Server::Url(_) => "sample_mcp_with_dcr",
        Server::Command(_) => "sample_mcp_stdio_local",
    };
    let (key, pasted) = match &init.control_plane_api_key_ref {
        Some(reference) if is_reference(reference) => (reference.trim().to_owned(), None),
        // It may be a key.
        Some(_) => {
            let why = "--control-plane-api-key-ref must begin with env:, file: or credential:, and is never the key itself";
            return Err(usage(why));
        }
        None if terminal => key()?,
        None => (KEY_REFERENCE.to_owned(), None),
    };
    Ok(Answers { sample: chosen.unwrap_or(by_server), tunnel_id, server, key, pasted })
}

fn server(text: String) -> Server {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        Server::Url(text)
    } else {
        Server::Command(text)
    }
}

fn is_tunnel_id(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.strip_prefix("tunnel_").is_some_and(|id| id.len() == 32 && id.bytes().all(legal))
}

fn is_reference(text: &str) -> bool {
    let named = |prefix| text.trim().strip_prefix(prefix).is_some_and(|rest: &str| !rest.trim().is_empty());
    named("env:") || named("file:/") || named("credential:")
}

/// Where the key is, or the key.
fn key() -> Result<(String, Option<Zeroizing<String>>), Failed> {
    let text = format!(
        "API key: env:NAME, file:/path or credential:NAME, or paste the key, which is not shown [{KEY_REFERENCE}]"
    );
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    for _ in 0..ATTEMPTS {
        let given = ask(&text, true)?;
        let given = Zeroizing::new(given.trim().to_owned());
        print("\n");
        if given.is_empty() {
            return Ok((KEY_REFERENCE.to_owned(), None));
        }
        if is_reference(&given) {
            return Ok((given.to_string(), None));
        }
        if given.len() >= 8 && given.bytes().all(legal) {
            return Ok((String::new(), Some(given)));
        }
        print(
            "  It has to begin with env:, file:/ or credential:, or to be a key: letters, digits, - and _.\n",
        );
    }
    Err(given_up())
}

/// An answer that `fits` and is not empty.
fn question(text: &str, fits: impl Fn(&str) -> bool) -> Result<String, Failed> {
    for _ in 0..ATTEMPTS {
        let given = ask(text, false)?;
        let given = given.trim();
        if !given.is_empty() && fits(given) {
            return Ok(given.to_owned());
        }
        print("  That is not one.\n");
    }
    Err(given_up())
}

/// Whether the answer is yes, which it is without one.
pub fn yes(text: &str) -> Result<bool, Failed> {
    let given = ask(&format!("{text} [Y/n]"), false)?;
    Ok(!given.trim().to_ascii_lowercase().starts_with('n'))
}

fn ask(text: &str, unseen: bool) -> Result<Zeroizing<String>, Failed> {
    let question = || {
        print(text);
        print(": ");
    };
    match terminal::line(unseen, &question) {
        Ok(Some(line)) => Ok(line),
        Ok(None) => {
            print("\n");
            Err(given_up())
        }
        Err(e) => Err((Exit::Os, format!("the terminal cannot be read: {e}; nothing was written"))),
    }
}

fn given_up() -> Failed {
    usage("no answer; nothing was written")
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}
