//! The command line: subcommands, flags and help.
//!
//! Pure: arguments in, intention out. Options are all repeatable here, so that a flag given twice behaves as with
//! `tunnel-client` (the last one wins, lists grow) and no error quotes a value.

use argh::FromArgs;

use super::audit::Audit;
use super::confinement::Wanted;
use super::doctor;
use super::flags::RunFlags;
use super::health::{self, Asked, HealthCommand, ReadyCommand, StatusCommand};
use super::init::Init;
use super::policy::PolicyCommand;
use super::{complete, config_show, help, version};
use crate::config::{Flags, argv, schema};
use crate::policy::nearest;
use crate::worker::{inquire, look};

/// What a command line asks for.
#[derive(Debug)]
pub enum Cli {
    /// Run the agent.
    Run(Flags),
    /// Check the configuration that `run` would use.
    ConfigCheck(Flags),
    /// Show what of it counts, as YAML or JSON.
    ConfigShow(bool, Flags),
    /// Find out what keeps it from working.
    Doctor(doctor::Wanted),
    /// Make a profile.
    Init(Init),
    /// Say what is enforced.
    Confinement(Wanted),
    /// Show the pins of a host.
    Pin(String, Flags),
    /// Ask a running service how it is.
    Ask(Asked, Flags),
    /// Begin, verify or read an audit log.
    Audit(Audit),
    /// Check or ask a call policy.
    Policy(PolicyCommand),
    /// Be the worker of a broker.
    Worker,
    /// Ask MCP servers what they offer.
    Survey,
    /// Attempt what is forbidden.
    Probe,
    /// Be the worker that looks at a peer.
    Look,
    /// Be the worker that asks a health listener.
    Inquire,
    /// Be a stdio MCP server.
    Launch(Launch),
    /// Print this and be content.
    Print(String),
    /// Print this and complain.
    Usage(String),
    /// The same for a command that users of `tunnel-client` know.
    Misused(String),
}

/// tunnelward: a hardened agent for the Secure MCP Tunnel.
#[derive(FromArgs)]
struct Top {
    /// print the version
    #[argh(switch)]
    version: bool,
    #[argh(subcommand)]
    command: Option<Sub>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made, at the start")]
enum Sub {
    Audit(Audit),
    Run(RunFlags),
    Config(ConfigCommand),
    Confinement(ConfinementCommand),
    Doctor(doctor::Command),
    Init(Init),
    Pin(PinCommand),
    Policy(PolicyCommand),
    Version(VersionCommand),
    Completions(CompletionsCommand),
    Health(HealthCommand),
    Ready(ReadyCommand),
    Status(StatusCommand),
}

/// print the version
#[derive(FromArgs)]
#[argh(subcommand, name = "version")]
struct VersionCommand {
    /// print JSON (version 1 of its shape) with the facts of the build
    #[argh(switch)]
    json: bool,
}

/// print what completes commands and flags in a shell
#[derive(FromArgs)]
#[argh(subcommand, name = "completions")]
struct CompletionsCommand {
    /// bash, zsh or fish
    #[argh(positional)]
    shell: String,
}

/// show the keys of a host that can be pinned; takes the flags of run too
#[derive(FromArgs)]
#[argh(subcommand, name = "pin", usage = "<host[:port]> [flags]")]
struct PinCommand {
    /// the host, with a port when it is not 443
    #[argh(positional, arg_name = "host[:port]")]
    target: String,
}

/// look at the configuration
#[derive(FromArgs)]
#[argh(subcommand, name = "config")]
struct ConfigCommand {
    #[argh(subcommand)]
    command: ConfigSub,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum ConfigSub {
    Check(CheckCommand),
    Show(config_show::Command),
    Schema(SchemaCommand),
}

/// check the configuration that run would use; takes the flags of run
#[derive(FromArgs)]
#[argh(subcommand, name = "check", usage = "[flags]")]
struct CheckCommand {}

/// print the JSON Schema (2020-12) of the file, for editors
#[derive(FromArgs)]
#[argh(subcommand, name = "schema")]
struct SchemaCommand {}

/// show what each process may do on this kernel, as processes that are really confined report it; exit 0 only if
/// everything that should be denied is denied, else 70, and 69 if the kernel lacks what is required; takes the flags of
/// run too
#[derive(FromArgs)]
#[argh(subcommand, name = "confinement", usage = "[--probe] [--json] [flags]")]
struct ConfinementCommand {
    /// attempt everything that is forbidden, and show the answers
    #[argh(switch)]
    probe: bool,
    /// print JSON (version 1 of its shape) instead of text
    #[argh(switch)]
    json: bool,
}

/// start one stdio MCP server
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "launch")]
pub struct Launch {
    /// socket on which the broker says what to become, and hears why that failed
    #[argh(option)]
    pub fd: i32,
    /// channel of the server, for those who look at processes
    #[argh(positional)]
    pub channel: String,
}

/// Understands the arguments, without the program's name.
#[must_use]
pub fn parse(arguments: &[String]) -> Cli {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["worker"] => return Cli::Worker,
        ["survey"] => return Cli::Survey,
        ["probe"] => return Cli::Probe,
        [look::ROLE] => return Cli::Look,
        [inquire::ROLE] => return Cli::Inquire,
        ["launch", rest @ ..] => return launch(rest),
        ["-h" | "--help"] | [] => return help::about(&[]),
        ["help", topic @ ..] => return help::about(topic),
        // Among its words are options of the command that is to be completed.
        ["complete", rest @ ..] => return Cli::Print(complete::candidates(rest)),
        _ => {}
    }
    match words.as_slice() {
        ["run", flags @ ..] => run(flags),
        ["pin", rest @ ..] => with_flags(&["pin"], &[], &[], rest),
        ["init", rest @ ..] => {
            // As with the flags of run, a value may be joined to its flag.
            let split = rest.iter().flat_map(|word| match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => [Some(flag), Some(value)],
                _ => [Some(*word), None],
            });
            top(&["init"].into_iter().chain(split.flatten()).collect::<Vec<_>>())
        }
        ["config", "check", rest @ ..] => with_flags(&["config", "check"], &[], &[], rest),
        ["config", "show", rest @ ..] => with_flags(&["config", "show"], &["--json"], &[], rest),
        ["confinement" | "sandbox", rest @ ..] => {
            with_flags(&["confinement"], &["--probe", "--json"], &[], rest)
        }
        ["doctor", rest @ ..] => {
            misused(with_flags(&["doctor"], &["--explain", "--json", "--offline"], &[], rest))
        }
        [command @ ("health" | "ready" | "status"), rest @ ..] => {
            misused(with_flags(&[command], &health::SWITCHES, &health::OPTIONS, rest))
        }
        _ => top(&words),
    }
}

/// A wrong command line of a command that ends by the codes of `tunnel-client`.
fn misused(parsed: Cli) -> Cli {
    match parsed {
        Cli::Usage(text) => Cli::Misused(text),
        other => other,
    }
}

fn run(flags: &[&str]) -> Cli {
    match normalised(&["run"], &[], flags) {
        Ok(flags) => top(&["run"].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>()),
        Err(usage) => Cli::Usage(usage),
    }
}

/// A command with words, `switches` and `options` (which have a value) of its own; the flags of `run` among its words are
/// left to `run` to read.
fn with_flags(command: &[&str], switches: &[&str], options: &[&str], words: &[&str]) -> Cli {
    let (mut own, mut rest): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.split_once('=') {
            Some((name, value)) if options.contains(&name) => own.extend([name, value]),
            None if options.contains(word) => own.extend([*word].into_iter().chain(words.next().copied())),
            _ if switches.contains(word) => own.push(word),
            _ => rest.push(word),
        }
    }
    let rest = match normalised(command, &[switches, options].concat(), &rest) {
        Ok(rest) => rest,
        Err(usage) => return Cli::Usage(usage),
    };
    let (mut own, mut flags) = ([command, &own].concat(), vec!["run"]);
    let mut rest = rest.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        if word.starts_with("--") && !matches!(word, "--help" | "--") {
            flags.push(word);
            flags.extend(rest.next());
        } else {
            own.push(word);
        }
    }
    match (top(&own), top(&flags)) {
        (Cli::Pin(target, _), Cli::Run(flags)) => Cli::Pin(target, flags),
        (Cli::ConfigCheck(_), Cli::Run(flags)) => Cli::ConfigCheck(flags),
        (Cli::ConfigShow(json, _), Cli::Run(flags)) => Cli::ConfigShow(json, flags),
        (Cli::Ask(asked, _), Cli::Run(flags)) => Cli::Ask(asked, flags),
        (Cli::Confinement(wanted), Cli::Run(flags)) => Cli::Confinement(Wanted { flags, ..wanted }),
        (Cli::Doctor(wanted), Cli::Run(flags)) => Cli::Doctor(doctor::Wanted { flags, ..wanted }),
        (
            Cli::Pin(..)
            | Cli::ConfigCheck(_)
            | Cli::ConfigShow(..)
            | Cli::Confinement(_)
            | Cli::Doctor(_)
            | Cli::Ask(..),
            other,
        )
        | (other, _) => other,
    }
}

/// The words as the parser takes them. `switches` are those of the command's own, which may have been meant too.
fn normalised(command: &[&str], switches: &[&str], words: &[&str]) -> Result<Vec<String>, String> {
    argv::normalise(words).map_err(|error| {
        let error = match error {
            argv::ArgvError::Unknown(flag, None) => {
                let meant = nearest(&flag, switches.iter().copied()).map(str::to_string);
                argv::ArgvError::Unknown(flag, meant)
            }
            error => error,
        };
        format!("{error}\n\nRun tunnelward {} --help for the flags.", command.join(" "))
    })
}

fn top(words: &[&str]) -> Cli {
    match Top::from_args(&["tunnelward"], words) {
        Ok(Top { version: true, .. }) => Cli::Print(version::line()),
        Ok(Top { command: Some(Sub::Version(VersionCommand { json })), .. }) => {
            Cli::Print(if json { version::json() } else { version::line() })
        }
        Ok(Top { command: Some(Sub::Completions(CompletionsCommand { shell })), .. }) => {
            complete::script(&shell)
        }
        Ok(Top { command: Some(Sub::Audit(audit)), .. }) => Cli::Audit(audit),
        Ok(Top { command: Some(Sub::Run(flags)), .. }) => Cli::Run(flags.into()),
        Ok(Top { command: Some(Sub::Pin(pin)), .. }) => Cli::Pin(pin.target, Flags::default()),
        Ok(Top { command: Some(Sub::Config(ConfigCommand { command })), .. }) => match command {
            ConfigSub::Check(CheckCommand {}) => Cli::ConfigCheck(Flags::default()),
            ConfigSub::Show(config_show::Command { json }) => Cli::ConfigShow(json, Flags::default()),
            ConfigSub::Schema(SchemaCommand {}) => Cli::Print(schema::schema()),
        },
        Ok(Top { command: Some(Sub::Confinement(ConfinementCommand { probe, json })), .. }) => {
            Cli::Confinement(Wanted { flags: Flags::default(), json, probe })
        }
        Ok(Top { command: Some(Sub::Doctor(command)), .. }) => Cli::Doctor(command.into()),
        Ok(Top { command: Some(Sub::Init(init)), .. }) => Cli::Init(init),
        Ok(Top { command: Some(Sub::Policy(command)), .. }) => Cli::Policy(command),
        Ok(Top { command: Some(Sub::Health(c)), .. }) => Cli::Ask(Asked::Health(c), Flags::default()),
        Ok(Top { command: Some(Sub::Ready(c)), .. }) => Cli::Ask(Asked::Ready(c), Flags::default()),
        Ok(Top { command: Some(Sub::Status(c)), .. }) => Cli::Ask(Asked::Status(c), Flags::default()),
        Ok(Top { command: None, .. }) => Cli::Usage("a command is needed; run tunnelward --help".into()),
        Err(early) => early_exit(early),
    }
}

/// What a command says of itself; the words are its name, and those of the command below it.
#[must_use]
pub fn help_of(words: &[&str]) -> Option<String> {
    let early = Top::from_args(&["tunnelward"], &[words, &["--help"]].concat()).err()?;
    early.status.is_ok().then_some(early.output)
}

fn launch(words: &[&str]) -> Cli {
    match Launch::from_args(&["tunnelward", "launch"], words) {
        Ok(launch) => Cli::Launch(launch),
        Err(early) => early_exit(early),
    }
}

fn early_exit(early: argh::EarlyExit) -> Cli {
    match early.status {
        Ok(()) => Cli::Print(early.output),
        Err(()) => Cli::Usage(early.output),
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
