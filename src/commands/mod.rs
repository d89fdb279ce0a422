//! The subcommands: what is asked for, done, and turned into an exit code.
//!
//! Runs before any role is taken. Writes to stdout and stderr; everything else is left to the roles.

pub mod cli;
mod config_check;
pub mod confinement;
pub mod policy;
mod run;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use crate::config::{self, Config, Flags, Host, Problem};
use crate::exit::Exit;
use crate::{sys, tls};
use cli::Cli;

/// Does what the arguments (without the program's name) ask for. `take_env` takes the environment and leaves none.
#[must_use]
pub fn dispatch(arguments: &[String], take_env: fn() -> BTreeMap<String, String>) -> Exit {
    let cli = cli::parse(arguments);
    // The environment of launch is that of the server it becomes.
    let env = if matches!(cli, Cli::Launch(_)) { BTreeMap::new() } else { take_env() };
    let host = Host {
        env: &env,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        etc: Path::new("/etc"),
    };
    // Launch keeps one descriptor more, and sees to it itself.
    if !matches!(cli, Cli::Launch(_))
        && let Err(e) = sys::fds::sanitize()
    {
        complain(&format!(
            "inherited descriptors cannot be closed: close_range: {e}; use Linux 5.9 or later, and let no outer filter refuse close_range"
        ));
        return Exit::Unavailable;
    }
    match cli {
        Cli::Run(flags) => match load(&flags, host) {
            Ok(config) => run::run(config, env),
            Err(exit) => exit,
        },
        Cli::ConfigCheck(flags) => config_check::config_check(&flags, host),
        Cli::Confinement(wanted) => confinement::run(&wanted, host),
        Cli::Policy(command) => policy::run(&command, host),
        Cli::Print(text) => {
            say(&text);
            Exit::Ok
        }
        Cli::Usage(text) => {
            complain(&text);
            Exit::Usage
        }
        Cli::Worker => run::worker(),
        Cli::Survey => run::survey(),
        Cli::Probe => confinement::subject::run(),
        Cli::Launch(launch) => run::launch(launch),
    }
}

/// The configuration, or the exit code after its problems have been printed.
fn load(flags: &Flags, host: Host<'_>) -> Result<Config, Exit> {
    let config = config::load(flags, host).map_err(|problems| {
        report(&problems);
        config::exit_for(&problems)
    })?;
    // Whether certificates can be trust anchors is not for `config` to say; the worker must not be the first to find
    // out, for it would be started again and again.
    if let Err(e) = tls::client_config(config.worker.ca_pem.as_deref()) {
        complain(&format!("ca_bundle: {e}\n1 problem in the configuration"));
        return Err(Exit::Config);
    }
    Ok(config)
}

/// Problems on stderr: one line each, the count last.
fn report(problems: &[Problem]) {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&problem.to_string());
        text.push('\n');
    }
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    text.push_str(&format!("{} {noun} in the configuration", problems.len()));
    complain(&text);
}

/// Text on stdout. A reader that has gone away is not our trouble.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()));
}

/// Text on stderr.
fn complain(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{}", text.trim_end()));
}
