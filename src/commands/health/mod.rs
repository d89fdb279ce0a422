//! `health`, `ready` and `status`: clients of the listener of a running service. What it answers is read by a confined
//! process for each page (`worker::inquire`), because whoever listens there may be anybody; what comes of it is printed
//! with everything escaped that a terminal would obey.

mod locate;
mod probe;
mod status;

use argh::FromArgs;
use serde_json::Value;

use super::{complain, say};
use crate::broker::errand;
use crate::config::{Flags, Host};
use crate::exit::Exit;
use crate::worker::inquire::{self, Found, Page, Task};
use locate::{Base, Locator};

/// Options of these commands that are no flags of `run`: those with a value, and those without.
pub const OPTIONS: [&str; 5] = ["--url", "--url-file", "--port", "--pid", "--pid-file"];
/// See there.
pub const SWITCHES: [&str; 4] = ["--live", "--require-control-plane-poll", "--json", "--watch"];

/// Which of them.
#[derive(Debug)]
pub enum Asked {
    /// `health`.
    Health(HealthCommand),
    /// `ready`.
    Ready(ReadyCommand),
    /// `status`.
    Status(StatusCommand),
}

/// probe a running service as tunnel-client does; exit 0 if it is live and ready, 2 if not, 1 if the command line is
/// wrong; without --url, --url-file and --port it is where the flags of run say, which are taken too
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "health",
    usage = "[--url <url> | --url-file <file> | --port <port>] [--pid <pid> | --pid-file <file>] [--live] [--require-control-plane-poll] [--json] [flags]"
)]
pub struct HealthCommand {
    /// where it listens: http://127.0.0.1:8080, or http+unix:// and the path of a socket in base64url
    #[argh(option)]
    url: Option<String>,
    /// a file that holds the URL
    #[argh(option)]
    url_file: Option<String>,
    /// port of loopback
    #[argh(option)]
    port: Option<u16>,
    /// a process that has to run
    #[argh(option)]
    pid: Option<u32>,
    /// a file that holds its number
    #[argh(option)]
    pid_file: Option<String>,
    /// ask only whether it is live, which a service is that waits for its peers
    #[argh(switch)]
    live: bool,
    /// the control plane has to have answered a poll
    #[argh(switch)]
    require_control_plane_poll: bool,
    /// print JSON instead of text
    #[argh(switch)]
    json: bool,
}

/// say whether a running service is ready, or why not; exit 0, or 2; 1 if the command line is wrong; takes the flags of
/// run too
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "ready", usage = "[--url <url> | --url-file <file> | --port <port>] [flags]")]
pub struct ReadyCommand {
    /// where it listens
    #[argh(option)]
    url: Option<String>,
    /// a file that holds the URL
    #[argh(option)]
    url_file: Option<String>,
    /// port of loopback
    #[argh(option)]
    port: Option<u16>,
}

/// show how a running service is; exit 0 if it is ready, 2 if it is not or does not answer, 1 if the command line is
/// wrong; takes the flags of run too
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "status",
    usage = "[--watch [<seconds>]] [--json] [--url <url> | --url-file <file> | --port <port>] [flags]"
)]
pub struct StatusCommand {
    /// show it again and again, every 2 seconds or as often as is said
    #[argh(switch)]
    watch: bool,
    /// seconds, 1 to 3600
    #[argh(positional, arg_name = "seconds")]
    every: Option<u16>,
    /// print JSON (version 1 of its shape) instead of text
    #[argh(switch)]
    json: bool,
    /// where it listens
    #[argh(option)]
    url: Option<String>,
    /// a file that holds the URL
    #[argh(option)]
    url_file: Option<String>,
    /// port of loopback
    #[argh(option)]
    port: Option<u16>,
}

/// Does what is asked.
pub fn run(asked: &Asked, flags: &Flags, host: Host<'_>) -> Exit {
    let (url, url_file, port) = match asked {
        Asked::Health(c) => (&c.url, &c.url_file, c.port),
        Asked::Ready(c) => (&c.url, &c.url_file, c.port),
        Asked::Status(c) => (&c.url, &c.url_file, c.port),
    };
    if usize::from(url.is_some()) + usize::from(url_file.is_some()) + usize::from(port.is_some()) > 1 {
        return misused("only one of --url, --url-file and --port can be given");
    }
    let find = || locate::find((url, url_file, port), flags, host);
    match asked {
        Asked::Health(c) if c.pid.is_some() && c.pid_file.is_some() => {
            misused("only one of --pid and --pid-file can be given")
        }
        Asked::Health(c) => probe::probe(c, &find()),
        Asked::Ready(_) => ready(&find()),
        Asked::Status(c) => match (c.watch, c.every) {
            (false, Some(_)) => misused("seconds are for --watch"),
            (true, Some(0 | 3601..)) => misused("--watch takes 1 to 3600 seconds"),
            _ => status::status(c, find),
        },
    }
}

/// What `tunnel-client` ends with, where other commands end with 64.
pub fn misused(why: &str) -> Exit {
    complain(why);
    Exit::Refused
}

fn ready(locator: &Locator) -> Exit {
    let found = ask(locator, Page::Ready);
    match &found.error {
        Some(why) => say(&plain(why)),
        None => say(&found.text.lines().map(plain).collect::<Vec<_>>().join("\n")),
    }
    if is_ok(&found) { Exit::Ok } else { Exit::Unwell }
}

fn is_ok(found: &Found) -> bool {
    found.error.is_none() && found.status == Some(200)
}

/// Asks for a page. Whatever stands in the way is the `error` of what is found.
fn ask(locator: &Locator, page: Page) -> Found {
    let asked = locator.base.as_ref().map_err(Clone::clone).and_then(|base| {
        let connection = base.connect().map_err(|e| format!("{} does not answer: {e}", base.url))?;
        let task = Task { host: base.host(), page };
        errand::run_with(inquire::ROLE, &task, Some(connection), inquire::BOUND).map_err(|e| e.to_string())
    });
    asked.unwrap_or_else(|why| Found { error: Some(why), ..Found::default() })
}

/// Whether a terminal, or its reader, could be misled by it: control characters, and those that turn the direction of
/// writing.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line that says nothing but what it shows.
fn plain(line: &str) -> String {
    line.chars().map(|c| if misleads(c) { c.escape_unicode().to_string() } else { c.into() }).collect()
}

/// JSON in which the same holds for every text.
fn json(value: &Value, pretty: bool) -> String {
    let text = if pretty { format!("{value:#}") } else { value.to_string() };
    let escaped = |c: char| format!("\\u{:04x}", u32::from(c));
    text.chars().map(|c| if misleads(c) && c != '\n' { escaped(c) } else { c.into() }).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
