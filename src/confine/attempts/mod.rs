//! What each role must not be able to do, as attempts with the answer that each must get.
//!
//! A table: [`all`]. An attempt is made in a really confined process that ends right after (`tunnelward confinement
//! --probe`), or in a worker at its start if its refusal is an error number (`selftest`). It counts as denied only if
//! the answer is the very one that the filter or Landlock gives; `tests/suite/denied.rs` shows for each that the same
//! attempt gets another answer from an unconfined process.

mod files;
mod network;
mod processes;
mod syscalls;

pub use files::{FILES, PROGRAM, SOCKET};

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::landlock::Grants;
use super::seccomp::Role;
use crate::sys::attempt::Call;
use crate::sys::errno;

/// What an attempt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// A system call as such.
    Syscall,
    /// Files and directories.
    Files,
    /// Sockets.
    Network,
    /// Signals to, and the memory of, other processes.
    Processes,
    /// Memory of its own.
    Memory,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Done,
    /// It was answered with an error number.
    Errno(i32),
    /// The process was ended by a signal.
    Killed(i32),
    /// The process ended in another way without saying a word.
    Lost,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Errno(number) => f.write_str(&errno::name(*number)),
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Lost => f.write_str("no answer"),
        }
    }
}

impl Outcome {
    /// Of what an attempt returned.
    #[must_use]
    pub fn of(result: &io::Result<()>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(e) => e.raw_os_error().map_or(Self::Lost, Self::Errno),
        }
    }
}

/// The filter kills.
const KILLED: Outcome = Outcome::Killed(errno::SIGSYS);
const EPERM: Outcome = Outcome::Errno(errno::EPERM);
const EACCES: Outcome = Outcome::Errno(errno::EACCES);

/// What a role must get as an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing refuses it: the role needs it, or it harms nobody else.
    Open,
    /// This.
    Deny(Outcome),
    /// This, from a Landlock ABI on.
    Abi(u8, Outcome),
    /// This, where the kernel refuses memory that is first writable and then executable.
    Mdwe(Outcome),
    /// `EACCES` for an MCP server without ports, which has no internet sockets, else as the other says.
    Inet(&'static Rule),
    /// `EACCES` for an MCP server that may not make Unix sockets, else as the other says.
    Unix(&'static Rule),
}

/// What the configuration may grant to a role, and an attempt then succeeds by right.
#[derive(Clone, Copy)]
pub enum Target {
    /// Nothing can be granted.
    Fixed,
    /// Reading a file.
    Read(fn(&Context) -> PathBuf),
    /// Changing a file or directory.
    Write(fn(&Context) -> PathBuf),
    /// Executing a file.
    Execute(fn(&Context) -> PathBuf),
    /// Connecting to a TCP port.
    Port(fn(&Context) -> u16),
    /// Unix sockets by path.
    UnixSockets,
}

/// One thing that is attempted.
pub struct Attempt {
    /// Its name on the command line and in JSON.
    pub name: &'static str,
    /// What it is about.
    pub area: Area,
    /// What it is, for people.
    pub what: &'static str,
    /// What the broker gets.
    pub broker: Rule,
    /// What the worker gets.
    pub worker: Rule,
    /// What an MCP server gets.
    pub child: Rule,
    /// Only root's control run shows that confinement refuses it: the kernel refuses it to others in the same words.
    pub needs_root: bool,
    /// What may be granted.
    pub target: Target,
    run: Run,
}

#[derive(Clone, Copy)]
enum Run {
    Call(Call),
    With(fn(&Context) -> io::Result<()>),
}

/// What the attempts are made on: things that an ordinary process of the same user can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// A directory of the user, with what `Stage` puts there.
    pub stage: PathBuf,
    /// The agent's own files.
    pub own_files: Vec<PathBuf>,
    /// A TCP port on loopback at which somebody listens, and that is granted to nobody.
    pub port: u16,
    /// An abstract Unix socket at which somebody listens.
    pub abstract_socket: String,
    /// A process of the same user, that shows itself to its neighbours.
    pub neighbour: u32,
}

/// What an attempt in one process must come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It is open to this role.
    Open,
    /// The configuration grants it.
    Granted,
    /// It is denied with this answer.
    Denied(Outcome),
    /// This kernel does not enforce it; what it lacks.
    NotEnforced(String),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("open"),
            Self::Granted => f.write_str("granted"),
            Self::Denied(outcome) => write!(f, "{outcome}"),
            Self::NotEnforced(lacks) => write!(f, "not enforced by this kernel (needs {lacks})"),
        }
    }
}

impl Expected {
    /// Whether an outcome is what it must be. What is open may end in any way but by a filter's signal.
    #[must_use]
    pub fn is_met(&self, outcome: Outcome) -> bool {
        match self {
            Self::Denied(denial) => outcome == *denial,
            Self::Open | Self::Granted | Self::NotEnforced(_) => {
                outcome != KILLED && outcome != Outcome::Lost
            }
        }
    }
}

/// What decides over the answers, besides the role.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The Landlock ABI in use.
    pub abi: u8,
    /// Whether the kernel refuses to this process memory that is first writable and then executable.
    pub mdwe: bool,
    /// What is granted.
    pub grants: &'a Grants,
}

impl Attempt {
    /// Makes it.
    ///
    /// # Errors
    /// How it was refused.
    pub fn make(&self, context: &Context) -> io::Result<()> {
        match self.run {
            Run::Call(call) => call.make(),
            Run::With(run) => run(context),
        }
    }

    /// What it must come to.
    #[must_use]
    pub fn expected(&self, role: Role, terms: Terms<'_>, context: &Context) -> Expected {
        let rule = match role {
            Role::Broker => self.broker,
            Role::Worker => self.worker,
            Role::Child { .. } => self.child,
        };
        let expected = resolve(rule, role, terms);
        // No grant goes past a filter that kills.
        match expected {
            Expected::Denied(KILLED) => expected,
            Expected::Denied(_) if self.is_granted(terms.grants, context) => Expected::Granted,
            other => other,
        }
    }

    fn is_granted(&self, grants: &Grants, context: &Context) -> bool {
        let under =
            |set: &BTreeSet<PathBuf>, path: &Path| set.iter().any(|granted| path.starts_with(granted));
        match self.target {
            Target::Fixed => false,
            Target::Read(path) => {
                let path = path(context);
                [&grants.read, &grants.write, &grants.execute].iter().any(|set| under(set, &path))
            }
            Target::Write(path) => under(&grants.write, &path(context)),
            Target::Execute(path) => under(&grants.execute, &path(context)),
            Target::Port(port) => grants.tcp.contains(&port(context)),
            Target::UnixSockets => grants.unix_sockets,
        }
    }
}

fn resolve(rule: Rule, role: Role, terms: Terms<'_>) -> Expected {
    let (inet, unix) = match role {
        Role::Child { inet, unix } => (inet, unix),
        Role::Broker | Role::Worker => (true, true),
    };
    match rule {
        Rule::Open => Expected::Open,
        Rule::Deny(outcome) => Expected::Denied(outcome),
        Rule::Abi(since, outcome) if terms.abi >= since => Expected::Denied(outcome),
        Rule::Abi(since, _) => Expected::NotEnforced(format!("Landlock ABI {since}")),
        Rule::Mdwe(outcome) if terms.mdwe => Expected::Denied(outcome),
        Rule::Mdwe(_) => Expected::NotEnforced("PR_SET_MDWE of Linux 6.6".into()),
        Rule::Inet(other) => {
            if inet {
                resolve(*other, role, terms)
            } else {
                Expected::Denied(EACCES)
            }
        }
        Rule::Unix(other) => {
            if unix {
                resolve(*other, role, terms)
            } else {
                Expected::Denied(EACCES)
            }
        }
    }
}

/// Every attempt.
pub fn all() -> impl Iterator<Item = &'static Attempt> {
    [syscalls::TABLE, files::TABLE, network::TABLE, processes::TABLE].into_iter().flatten()
}

/// The attempt of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Attempt> {
    all().find(|attempt| attempt.name == name)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
