//! `config show`: the settings that count and where each came from. Resolves nothing but what the check does, and shows no
//! secret.

use argh::FromArgs;

use super::{complain_of, say};
use crate::config::{self, Flags, Host};
use crate::exit::Exit;

/// show the settings that count, each with its origin, as a file that can be read again; secrets are left out, references
/// to them are not; takes the flags of run
#[derive(FromArgs)]
#[argh(subcommand, name = "show", usage = "[--json] [flags]")]
pub struct Command {
    /// print JSON (version 1 of its shape) instead of YAML
    #[argh(switch)]
    pub json: bool,
}

/// Prints the settings to stdout, and what is wrong with them to stderr.
pub fn config_show(flags: &Flags, host: Host<'_>, json: bool) -> Exit {
    let problems = match config::show(flags, host, json) {
        Ok((text, problems)) => {
            say(&text);
            problems
        }
        Err(problems) => problems,
    };
    if problems.is_empty() {
        return Exit::Ok;
    }
    complain_of(&problems);
    config::exit_for(&problems)
}
