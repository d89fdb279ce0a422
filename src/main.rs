//! The program: takes its arguments and its environment, does what is asked, ends with a documented code.

use std::io::Write as _;
use std::process::ExitCode;

use tunnelward::exit::Exit;
use tunnelward::{commands, sys};

fn main() -> ExitCode {
    let arguments: Result<Vec<String>, _> =
        std::env::args_os().skip(1).map(std::ffi::OsString::into_string).collect();
    let Ok(arguments) = arguments else {
        drop(writeln!(std::io::stderr(), "an argument is not UTF-8"));
        return Exit::Usage.into();
    };
    // A snapshot: nothing below reads the environment again.
    commands::dispatch(&arguments, &sys::env::snapshot()).into()
}
