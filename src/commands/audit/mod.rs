//! `audit`: begins an audit log, verifies one, and shows what it says. Needs neither network nor configuration, and
//! takes the directory of the log.

mod export;
mod init;
mod show;
mod stats;
mod table;
mod verify;

use std::path::Path;

use argh::FromArgs;

use super::complain;
use crate::audit::chain::Members;
use crate::config::Host;
use crate::exit::Exit;

/// begin, verify or read an audit log
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "audit")]
pub struct Audit {
    #[argh(subcommand)]
    command: Sub,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Sub {
    Init(Init),
    Verify(Verify),
    Show(Show),
    Stats(Stats),
    Export(Export),
}

/// begin a log: make the directory and the first key, and print the key once. Keep it elsewhere: with it nobody can
/// rewrite the log unnoticed; exit 73 if there is a log already
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "init")]
pub struct Init {
    /// directory of the log; its parent must exist
    #[argh(positional)]
    directory: String,
    /// user, or user:group, that the agent runs as, by name or number; as root the default is tunnelward
    #[argh(option, arg_name = "user")]
    owner: Option<String>,
    /// write the key to this new file (mode 0600) instead of stdout
    #[argh(option, arg_name = "file")]
    export: Option<String>,
}

/// check a log: what is complete, what was changed, removed or added, and which calls have no end; exit 0 if nothing is
/// wrong, else 65
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "verify")]
pub struct Verify {
    /// directory of the log
    #[argh(positional)]
    directory: String,
    /// file with the key that init printed; without it only the order is checked, which a forger can make anew
    #[argh(option, arg_name = "file")]
    key: Option<String>,
    /// sequence and hash (12:ab...) of a checkpoint in the log of the service; may be repeated
    #[argh(option, arg_name = "n:hash")]
    checkpoint: Vec<String>,
    /// print JSON (version 1 of its shape) instead of text
    #[argh(switch)]
    json: bool,
}

/// show records
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "show")]
pub struct Show {
    /// directory of the log
    #[argh(positional)]
    directory: String,
    /// not before this time (UTC): 2026-11-26, 2026-11-26T14:30
    #[argh(option, arg_name = "time")]
    since: Option<String>,
    /// not after this time
    #[argh(option, arg_name = "time")]
    until: Option<String>,
    /// calls of this tool, prompt or resource
    #[argh(option, arg_name = "name")]
    tool: Option<String>,
    /// calls with this decision: permit, duplicate, in_doubt or deny
    #[argh(option, arg_name = "decision")]
    decision: Option<String>,
    /// this call, by its id or the request id of the control plane
    #[argh(option, arg_name = "id")]
    call: Option<String>,
    /// records of this event, such as start or call_decided
    #[argh(option, arg_name = "event")]
    event: Option<String>,
    /// the records as they are, one JSON object on each line
    #[argh(switch)]
    json: bool,
}

/// who called what how often, what failed, and how slow it was
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "stats")]
pub struct Stats {
    /// directory of the log
    #[argh(positional)]
    directory: String,
    /// not before this time (UTC): 2026-11-26, 2026-11-26T14:30
    #[argh(option, arg_name = "time")]
    since: Option<String>,
    /// not after this time
    #[argh(option, arg_name = "time")]
    until: Option<String>,
}

/// print calls in the form of another system, one on each line
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "export")]
pub struct Export {
    /// directory of the log
    #[argh(positional)]
    directory: String,
    /// ecs (Elastic Common Schema), ocsf (API Activity) or cef
    #[argh(option, arg_name = "format")]
    format: String,
}

/// Does it.
#[must_use]
pub fn run(audit: &Audit, host: Host<'_>) -> Exit {
    match &audit.command {
        Sub::Init(init) => init::run(init, host),
        Sub::Verify(verify) => verify::run(verify),
        Sub::Show(show) => show::run(show),
        Sub::Stats(stats) => stats::run(stats),
        Sub::Export(export) => export::run(export),
    }
}

/// A bound on time: a beginning of the RFC 3339 text of a moment, which compares as a text.
#[derive(Debug, Default)]
struct Times {
    since: Option<String>,
    until: Option<String>,
}

impl Times {
    fn new(since: Option<&String>, until: Option<&String>) -> Result<Self, Exit> {
        for time in [since, until].into_iter().flatten() {
            let legal = |b: u8| b.is_ascii_digit() || b"-:.TZ".contains(&b);
            if time.len() < 4 || !time.bytes().all(legal) {
                complain("a time must be the beginning of one in UTC: 2026-11-26, 2026-11-26T14:30");
                return Err(Exit::Usage);
            }
        }
        Ok(Self { since: since.cloned(), until: until.cloned() })
    }

    fn hold(&self, record: &Members) -> bool {
        let time = record.text("time").unwrap_or_default();
        let end = |until: &String| time.get(..until.len()).unwrap_or(time) <= until.as_str();
        self.since.as_ref().is_none_or(|since| time >= since.as_str()) && self.until.as_ref().is_none_or(end)
    }
}

/// Whether the record of an end says that the call was answered, and not by a failure.
fn ended_well(end: &Members) -> bool {
    end.text("outcome") == Some("answered")
        && end.text("rule").is_none()
        && end.number("status").is_none_or(|status| status < 400)
}

/// A directory that cannot be read.
fn unreadable(directory: &str, error: &std::io::Error) -> Exit {
    complain(&format!("{}: {error}", Path::new(directory).display()));
    Exit::Os
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
