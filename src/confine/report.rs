//! What is in force in a process, as the kernel tells it, not as it was asked for. Every role.
//!
//! A [`Witness`] opens what it has to read before the process is confined; afterwards nothing of it could be opened.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use landlock::{ABI, Access as _, AccessFs, AccessNet, Scope};
use serde::{Deserialize, Serialize};

use super::Sealed;
use super::landlock::Grants;
use super::seccomp::{self, Role};
use crate::config::confinement::HIGHEST_ABI;
use crate::sys::fds;

/// The most of a file of `/proc` that is read: they have 2 KiB.
const MAX_STATUS: usize = 16 * 1024;

/// What is in force in one process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// `broker`, `worker` or `child`.
    pub role: String,
    /// The user: real, effective, saved, of files.
    pub uid: Vec<u32>,
    /// The group, likewise.
    pub gid: Vec<u32>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The five sets of capabilities, in hexadecimal digits: zero when empty.
    pub capabilities: Capabilities,
    /// Whether no program that it starts gains privileges.
    pub no_new_privileges: bool,
    /// Whether other processes of the user may look into it.
    pub dumpable: bool,
    /// Whether memory that was writable is refused to become executable.
    pub refuses_executable_memory: bool,
    /// System calls.
    pub seccomp: Seccomp,
    /// Files, ports, signals.
    pub landlock: Landlock,
    /// Resource limits as `/proc/<pid>/limits` names them.
    pub limits: Vec<Limit>,
    /// Threads when it was confined.
    pub threads: u32,
    /// Whether the secrets that it holds cannot be swapped out; `None` when it holds none.
    pub secrets_locked: Option<bool>,
}

/// The sets of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// What a program that is started inherits.
    pub inheritable: String,
    /// What it may take.
    pub permitted: String,
    /// What it has.
    pub effective: String,
    /// What it could ever get. Full for an ordinary user, to whom it is of no use.
    pub bounding: String,
    /// What programs without capabilities of their own get.
    pub ambient: String,
}

/// System calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seccomp {
    /// 2 when filters are in force.
    pub mode: u8,
    /// How many, those of the processes above included; `None` when the kernel does not tell (before 5.9).
    pub in_force: Option<u32>,
    /// The role's own.
    pub filters: Vec<Filter>,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Its name in the policy.
    pub name: String,
    /// Its instructions.
    pub instructions: usize,
}

/// Files, ports, signals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Landlock {
    /// The ABI in use.
    pub abi: u8,
    /// The ABI below which nothing starts.
    pub floor: u8,
    /// The rights to files that are refused unless granted.
    pub files: Vec<String>,
    /// The rights to the network, likewise.
    pub network: Vec<String>,
    /// What cannot be reached outside of the domain.
    pub scopes: Vec<String>,
    /// What may be read.
    pub read: BTreeSet<PathBuf>,
    /// What may be read and changed.
    pub write: BTreeSet<PathBuf>,
    /// What may be read and executed.
    pub execute: BTreeSet<PathBuf>,
    /// The TCP ports that may be connected to.
    pub tcp: BTreeSet<u16>,
    /// Whether Unix sockets may be reached by their paths, where the kernel covers that (ABI 9).
    pub unix_sockets: bool,
}

/// A resource limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// As in `/proc/<pid>/limits`.
    pub name: String,
    /// The soft one; `None` is without bound.
    pub soft: Option<u64>,
    /// The hard one.
    pub hard: Option<u64>,
}

/// The limits that roles lower.
const LIMITS: [&str; 7] = [
    "Max core file size",
    "Max file size",
    "Max open files",
    "Max address space",
    "Max processes",
    "Max msgqueue size",
    "Max realtime priority",
];

/// What a process needs to be able to report on itself once it is confined.
#[derive(Debug)]
pub struct Witness {
    status: OwnedFd,
    limits: OwnedFd,
}

impl Witness {
    /// To be called before the first step of the confinement.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn open() -> io::Result<Self> {
        let open = |path| std::fs::File::open(path).map(OwnedFd::from);
        Ok(Self { status: open("/proc/self/status")?, limits: open("/proc/self/limits")? })
    }

    /// What is in force. `floor` is the lowest ABI that was accepted, `secrets_locked` what the holder of secrets
    /// says of them.
    ///
    /// # Errors
    /// When the kernel's text cannot be read or understood.
    pub fn report(
        self,
        sealed: &Sealed,
        role: Role,
        grants: &Grants,
        floor: u8,
        secrets_locked: Option<bool>,
    ) -> io::Result<Report> {
        let (status, limits) = (read(&self.status)?, read(&self.limits)?);
        let status = Status(&status);
        let facts = sealed.facts();
        let filters = seccomp::programs(role)
            .map(|(name, program)| Filter { name: name.into(), instructions: program.len() });
        let set = |name| status.text(name).map(|text| text.trim_start_matches('0').to_string()).map(or_zero);
        Ok(Report {
            role: name_of(role).into(),
            uid: status.numbers("Uid")?,
            gid: status.numbers("Gid")?,
            groups: status.numbers("Groups")?,
            capabilities: Capabilities {
                inheritable: set("CapInh")?,
                permitted: set("CapPrm")?,
                effective: set("CapEff")?,
                bounding: set("CapBnd")?,
                ambient: set("CapAmb")?,
            },
            no_new_privileges: status.number("NoNewPrivs")? == 1,
            dumpable: facts.dumpable,
            refuses_executable_memory: facts.mdwe,
            seccomp: Seccomp {
                mode: u8::try_from(status.number("Seccomp")?).unwrap_or(u8::MAX),
                in_force: status.number("Seccomp_filters").ok(),
                filters: filters.collect(),
            },
            landlock: landlock(facts.landlock, floor, grants),
            limits: limits.lines().filter_map(limit).collect(),
            threads: status.number("Threads")?,
            secrets_locked,
        })
    }
}

/// The name of a role in reports.
#[must_use]
pub fn name_of(role: Role) -> &'static str {
    match role {
        Role::Broker => "broker",
        Role::Worker => "worker",
        Role::Child { .. } => "child",
    }
}

fn landlock(abi: u8, floor: u8, grants: &Grants) -> Landlock {
    let known = ABI::from(i32::from(abi.min(HIGHEST_ABI)));
    Landlock {
        abi,
        floor,
        files: AccessFs::from_all(known).iter().map(name).collect(),
        network: AccessNet::from_all(known).iter().map(name).collect(),
        scopes: Scope::from_all(known).iter().map(name).collect(),
        read: grants.read.clone(),
        write: grants.write.clone(),
        execute: grants.execute.clone(),
        tcp: grants.tcp.clone(),
        unix_sockets: grants.unix_sockets,
    }
}

/// How a right calls itself.
fn name(right: impl std::fmt::Debug) -> String {
    format!("{right:?}")
}

fn read(fd: &OwnedFd) -> io::Result<String> {
    let mut text = vec![0; MAX_STATUS];
    let mut len = 0_usize;
    while let Some(rest) = text.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match fds::read(fd, rest)? {
            0 => break,
            n => len = len.saturating_add(n),
        }
    }
    text.truncate(len);
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The text of `/proc/<pid>/status`.
struct Status<'a>(&'a str);

impl Status<'_> {
    fn text(&self, name: &str) -> io::Result<&str> {
        let found = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        found.map(str::trim).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn numbers(&self, name: &str) -> io::Result<Vec<u32>> {
        let numbers: Result<_, _> = self.text(name)?.split_whitespace().map(str::parse).collect();
        numbers.map_err(|_| io::ErrorKind::InvalidData.into())
    }

    fn number(&self, name: &str) -> io::Result<u32> {
        self.text(name)?.parse().map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

fn or_zero(text: String) -> String {
    if text.is_empty() { "0".into() } else { text }
}

/// A line of `/proc/<pid>/limits` that is about a limit of ours: its name, the soft and the hard limit.
fn limit(line: &str) -> Option<Limit> {
    let name = LIMITS.iter().find(|name| line.starts_with(**name))?;
    let mut values = line.get(name.len()..)?.split_whitespace();
    let mut value = || {
        let text = values.next()?;
        if text == "unlimited" { Some(None) } else { text.parse().ok().map(Some) }
    };
    Some(Limit { name: (*name).into(), soft: value()?, hard: value()? })
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
