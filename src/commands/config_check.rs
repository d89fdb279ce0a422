//! `config check`: says what is wrong with a configuration, or `ok`. Opens nothing but what the configuration names.

use super::{complain, load, say};
use crate::config::{Flags, Host};
use crate::exit::Exit;
use crate::log::Level;

/// Prints problems and warnings to stderr and `ok` to stdout.
pub fn config_check(flags: &Flags, host: Host<'_>) -> Exit {
    match load(flags, host) {
        Ok(config) => {
            for warning in &config.warnings {
                complain(&format!("warning: {warning}"));
            }
            for command in &config.commands {
                for withheld in &command.withheld {
                    let kind = if withheld.level == Level::Warn { "warning" } else { "note" };
                    complain(&format!("{kind}: channel {}: {}", command.channel, withheld.sentence));
                }
            }
            say("ok");
            Exit::Ok
        }
        Err(exit) => exit,
    }
}
