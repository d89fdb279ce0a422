//! What each process may do, and the steps that take everything else away. Used by broker, worker and launch at their
//! start, and by the `confinement` command.
//!
//! The steps cannot be undone, so they have an order, and each takes a proof that only the step before it gives:
//! [`Single`] → [`Unprivileged`] → [`Fenced`] → [`Sealed`]. There is no way to leave a step out, and what needs
//! confinement (serving, reading the network, becoming an MCP server) asks for a [`Sealed`].

pub mod attempts;
pub mod kernel;
pub mod landlock;
mod limits;
mod privileges;
pub mod report;
pub mod seccomp;
pub mod selftest;

use crate::config::confinement::{Identity, Profile};
use crate::config::types;
use crate::sys::kernel::{Inherit, exec_gain_refused, refuse_exec_gain};
use crate::sys::process;

use kernel::{Abi, Failed, Step as _};
use landlock::Grants;
use seccomp::Role;

/// This process has one thread: what the next steps take away is taken from all of it.
#[derive(Debug)]
pub struct Single(());

/// This process is not root, has no capability and cannot get any.
#[derive(Debug)]
pub struct Unprivileged(());

/// This process is in its Landlock domain.
#[derive(Debug)]
pub struct Fenced {
    abi: Abi,
}

/// This process is confined for good.
#[derive(Debug)]
pub struct Sealed {
    facts: Facts,
}

/// What was enforced, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The Landlock ABI whose rights are all handled.
    pub landlock: u8,
    /// How many seccomp programs were installed.
    pub filters: u8,
    /// Whether other processes of the user may look into this one.
    pub dumpable: bool,
    /// Whether memory that was writable is refused to become executable.
    pub mdwe: bool,
}

impl Single {
    /// Counts the threads.
    ///
    /// # Errors
    /// When there are others, or `/proc` does not tell.
    pub fn assert() -> Result<Self, Failed> {
        match process::threads().step("counting threads in /proc/self/task")? {
            1 => Ok(Self(())),
            n => {
                let error = std::io::Error::other(format!("there are {n} before the confinement"));
                Err(Failed { step: "counting threads", error })
            }
        }
    }
}

impl Unprivileged {
    /// Root becomes `identity`; anyone else, and root below an `identity` of `None`, must have no privilege already.
    ///
    /// # Errors
    /// The step that failed. Some of them have been made then; the process must end.
    pub fn become_(_: Single, identity: Option<Identity>) -> Result<Self, Failed> {
        match identity {
            Some(identity) => privileges::drop_to(identity)?,
            None => privileges::without_privileges()?,
        }
        process::no_new_privileges().step("refusing new privileges")?;
        Ok(Self(()))
    }
}

impl Fenced {
    /// Enters the domain.
    ///
    /// # Errors
    /// When anything that the kernel should enforce is not.
    pub fn enter(_: Unprivileged, abi: Abi, grants: &Grants) -> Result<Self, Failed> {
        landlock::restrict(abi, grants)?;
        Ok(Self { abi })
    }
}

impl Sealed {
    fn seal(fenced: Fenced, role: Role) -> Result<Self, Failed> {
        let filters = u8::try_from(seccomp::programs(role).count()).unwrap_or(u8::MAX);
        // The filter lets nobody ask afterwards.
        let (dumpable, mdwe) = (process::is_dumpable(), exec_gain_refused());
        seccomp::install(role)?;
        Ok(Self { facts: Facts { landlock: fenced.abi.number(), filters, dumpable, mdwe } })
    }

    /// What was enforced.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.facts
    }

    /// For unit tests of what asks for the proof, in a process that is not confined.
    #[cfg(test)]
    pub fn of_a_test() -> Self {
        Self { facts: Facts { landlock: 0, filters: 0, dumpable: true, mdwe: false } }
    }
}

/// The broker's last steps: its limits bind everything below it, its filter too.
///
/// # Errors
/// The step that failed; the process must end.
pub fn broker(fenced: Fenced) -> Result<Sealed, Failed> {
    limits::broker()?;
    // A kernel that does not know it (before 6.6) leaves it to the filters of the worker.
    let _ = refuse_exec_gain(Inherit::No);
    Sealed::seal(fenced, Role::Broker)
}

/// All steps of the worker, which inherits the broker's domain and filters and narrows them.
///
/// # Errors
/// The step that failed; the process must end.
pub fn worker(abi: Abi, config: &types::Worker) -> Result<Sealed, Failed> {
    limits::worker(config)?;
    seal_worker(abi, None, &worker_grants(config))
}

/// All steps of a worker that has one errand and no broker whose confinement it could inherit. As root it becomes
/// nobody: it needs no file that belongs to anyone.
///
/// # Errors
/// The step that failed; the process must end.
pub fn errand(abi: Abi, ports: impl IntoIterator<Item = u16>) -> Result<Sealed, Failed> {
    limits::errand()?;
    let identity = rustix::process::geteuid().is_root().then_some(NOBODY);
    seal_worker(abi, identity, &network_grants(ports))
}

fn seal_worker(abi: Abi, identity: Option<Identity>, grants: &Grants) -> Result<Sealed, Failed> {
    // Before Linux 6.3 the filter alone refuses executable memory.
    let _ = refuse_exec_gain(Inherit::Yes);
    let unprivileged = Unprivileged::become_(Single::assert()?, identity)?;
    // A change of user may have made the process open to its user again.
    process::harden().step("closing the process to its user")?;
    let fenced = Fenced::enter(unprivileged, abi, grants)?;
    Sealed::seal(fenced, Role::Worker)
}

/// All steps of launch, for the MCP server that it becomes.
///
/// # Errors
/// The step that failed; the process must end.
pub fn child(abi: Abi, profile: &Profile) -> Result<Sealed, Failed> {
    limits::child(profile.max_processes)?;
    let unprivileged = Unprivileged::become_(Single::assert()?, None)?;
    let fenced = Fenced::enter(unprivileged, abi, &Grants::of_child(profile))?;
    Sealed::seal(fenced, child_role(profile))
}

/// Which filters an MCP server gets.
#[must_use]
pub fn child_role(profile: &Profile) -> Role {
    Role::Child { inet: !profile.tcp_ports.is_empty(), unix: profile.unix_sockets }
}

/// What the worker may touch: the files of the resolver, and the ports that the configuration names.
#[must_use]
pub fn worker_grants(config: &types::Worker) -> Grants {
    network_grants(config.tcp_ports())
}

fn network_grants(ports: impl IntoIterator<Item = u16>) -> Grants {
    let mut grants = Grants { names: true, ..Grants::default() };
    grants.read.extend(RESOLVER_FILES.iter().map(Into::into));
    grants.tcp.extend(ports.into_iter().chain([landlock::DNS]));
    grants
}

/// The user and group of nobody, as the kernel knows them on every system (`overflowuid`).
const NOBODY: Identity = Identity { uid: 65534, gid: 65534 };

/// What name resolution reads (resolv.conf(5), hosts(5)). A rule on a file is a rule on its inode: when one of them
/// is replaced, so must be the worker.
pub const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
