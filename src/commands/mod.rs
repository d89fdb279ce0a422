//! The subcommands: what is asked for, done, and turned into an exit code.
//!
//! Runs before any role is taken. Writes to stdout and stderr; everything else is left to the roles.

mod audit;
pub mod cli;
mod complete;
mod config_check;
mod config_show;
pub mod confinement;
pub mod doctor;
mod flags;
mod health;
mod help;
mod init;
mod manual;
mod pin;
pub mod policy;
mod run;
mod tables;
mod version;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use crate::broker::source::Source;
use crate::config::{self, Accounts, Config, Flags, Host};
use crate::exit::Exit;
use crate::tls::Trust;
use crate::{sys, worker};
use cli::Cli;

/// Does what the arguments (without the program's name) ask for. `take_env` takes the environment and leaves none.
#[must_use]
pub fn dispatch(arguments: &[String], take_env: fn() -> BTreeMap<String, String>) -> Exit {
    let cli = cli::parse(arguments);
    // The environment of launch is that of the server it becomes.
    let env = if matches!(cli, Cli::Launch(_)) { BTreeMap::new() } else { take_env() };
    let accounts = Accounts::of(Path::new("/etc"));
    let host = Host {
        env: &env,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        accounts: &accounts,
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
            Ok(config) => match Source::new(read_again, &flags, host) {
                Ok(source) => run::run(config, source, env),
                Err(e) => {
                    complain(&format!("the environment cannot be kept: {e}"));
                    Exit::Software
                }
            },
            Err(exit) => exit,
        },
        Cli::ConfigCheck(flags) => config_check::config_check(&flags, host),
        Cli::ConfigShow(json, flags) => config_show::config_show(&flags, host, json),
        Cli::Doctor(wanted) => doctor::run(&wanted, host),
        Cli::Init(command) => init::run(&command, host),
        Cli::Confinement(wanted) => confinement::run(&wanted, host),
        Cli::Audit(command) => audit::run(&command, host),
        Cli::Policy(command) => policy::run(&command, host),
        Cli::Print(text) => {
            say(&text);
            Exit::Ok
        }
        Cli::Usage(text) => {
            complain(&text);
            Exit::Usage
        }
        Cli::Misused(text) => health::misused(&text),
        Cli::Ask(asked, flags) => health::run(&asked, &flags, host),
        Cli::Pin(target, flags) => pin::pin(&target, &flags, host),
        Cli::Worker => run::worker(),
        Cli::Survey => run::survey(),
        Cli::Probe => confinement::subject::run(),
        Cli::Look => worker::look::run(),
        Cli::Inquire => worker::inquire::run(),
        Cli::Launch(launch) => run::launch(launch),
    }
}

/// The configuration, or the exit code after its problems have been printed.
fn load(flags: &Flags, host: Host<'_>) -> Result<Config, Exit> {
    read(flags, host).map_err(|(lines, exit)| {
        complain(&lines.join("\n"));
        exit
    })
}

/// The same for a reload, where lines are all that comes of problems.
fn read_again(flags: &Flags, host: Host<'_>) -> Result<Config, Vec<String>> {
    read(flags, host).map_err(|(lines, _)| lines)
}

/// The configuration; else its problems, the count last, and the exit code. Everybody who has a say in it has said it.
fn read(flags: &Flags, host: Host<'_>) -> Result<Config, (Vec<String>, Exit)> {
    let mut config =
        config::load(flags, host).map_err(|problems| (report(&problems), config::exit_for(&problems)))?;
    // Whether certificates and keys can be used is not for `config` to say; the worker must not be the first to find
    // out, for it would be started again and again.
    let bundle = |e| vec![format!("ca_bundle: {e}")];
    let checked = Trust::new(config.worker.ca_pem.as_deref(), config.worker.tls)
        .map_err(bundle)
        .and_then(|trust| trust.check(&config.worker, SystemTime::now()));
    match checked {
        Ok(warnings) => config.warnings.extend(warnings),
        Err(problems) => return Err((report(&problems), Exit::Config)),
    }
    Ok(config)
}

/// Problems on stderr.
fn complain_of<P: ToString>(problems: &[P]) {
    complain(&report(problems).join("\n"));
}

/// Problems: one line each, the count last.
#[must_use]
fn report<P: ToString>(problems: &[P]) -> Vec<String> {
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    let count = format!("{} {noun} in the configuration", problems.len());
    problems.iter().map(ToString::to_string).chain([count]).collect()
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
