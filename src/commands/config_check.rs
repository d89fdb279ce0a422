//! `config check`: says what is wrong with a configuration, or `ok`. Opens nothing but what the configuration names.

use super::{complain, load, say};
use crate::config::{Flags, Host};
use crate::exit::Exit;

/// Prints problems and warnings to stderr and `ok` to stdout.
pub fn config_check(flags: &Flags, host: Host<'_>) -> Exit {
    match load(flags, host) {
        Ok(config) => {
            for warning in &config.warnings {
                complain(&format!("warning: {warning}"));
            }
            say("ok");
            Exit::Ok
        }
        Err(exit) => exit,
    }
}
