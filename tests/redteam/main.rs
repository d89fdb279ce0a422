//! Programs that the tests set upon the agent, or the agent upon. Nothing of this is in the release binary.
//!
//! - `redteam run …`: the genuine broker, which starts this program as its worker: one whose code is subverted.
//! - `redteam child`: a stdio MCP server that tries everything.
//! - `redteam attempts --agent PATH`: makes every attempt of the probe unconfined, and prints how each ended as JSON.
//! - `redteam attempt`: makes one of them, which stdin names.
//! - `redteam end ROLE HOW`: a process that is confined as this role and cannot go on.
//! - `redteam rule FILTER NUMBER ARGUMENT…`: makes one system call below one filter of the policy.
//! - `redteam outer [--refuse …]… [--landlock-abi N] PROGRAM [ARGUMENT]…`: starts the program on a lesser kernel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::exit,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::print_stderr,
    reason = "test code: what cannot be set up must fail loudly"
)]

mod attempt;
mod child;
mod end;
mod outer;
mod rule;
mod worker;

use std::process::ExitCode;

use argh::FromArgs;
use tunnelward::{commands, sys};

/// Programs that the tests set upon the agent, or the agent upon.
#[derive(FromArgs)]
struct RedTeam {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Attempt(attempt::One),
    Attempts(attempt::All),
    End(end::Options),
    Child(child::Options),
    Outer(outer::Options),
    Rule(rule::Options),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // The broker starts `/proc/self/exe worker` and `launch`: this program.
        Some("worker") => return worker::run(),
        Some("run" | "launch") => return commands::dispatch(&arguments, sys::env::take).into(),
        _ => {}
    }
    match argh::from_env::<RedTeam>().command {
        Command::Attempt(_) => return attempt::one(),
        Command::Attempts(options) => attempt::all(&options),
        Command::End(options) => end::run(&options),
        Command::Child(options) => child::run(&options),
        Command::Outer(options) => outer::run(&options),
        Command::Rule(options) => return rule::run(&options),
    }
    ExitCode::SUCCESS
}
