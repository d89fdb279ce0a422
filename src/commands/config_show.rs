//! `config show`: the settings that count and where each came from. Resolves nothing but what the check does, and shows no
//! secret.

use super::{complain_of, say};
use crate::config::{self, Flags, Host};
use crate::exit::Exit;

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
