//! Landlock: which files a process may touch, which TCP ports it may connect to, whom it may signal.
//!
//! Domains nest: what a process starts has at most what it has itself. So the broker's domain is the union of all
//! below it. Every right that the kernel knows is handled: what is not granted here is refused.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, PathBeneath,
    PathFd, PathFdError, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
    make_bitflags,
};

use serde::{Deserialize, Serialize};

use super::kernel::{Abi, Failed};
use crate::config::confinement::{HIGHEST_ABI, Profile};

/// Names over TCP, and over UDP where the kernel covers it (ABI 10).
pub const DNS: u16 = 53;

/// What a domain allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// To read, with everything below.
    pub read: BTreeSet<PathBuf>,
    /// To read and change, with everything below.
    pub write: BTreeSet<PathBuf>,
    /// To read and execute, with everything below.
    pub execute: BTreeSet<PathBuf>,
    /// To remove empty directories directly or further below; nothing else.
    pub tidy: BTreeSet<PathBuf>,
    /// To remove files, sockets and links directly or further below; nothing else.
    #[serde(default)]
    pub unlink: BTreeSet<PathBuf>,
    /// TCP ports to connect to.
    pub tcp: BTreeSet<u16>,
    /// Whether names may be looked up over UDP.
    pub names: bool,
    /// Directories with Unix sockets to connect to, where the kernel covers that (ABI 9).
    pub sockets: BTreeSet<PathBuf>,
    /// Whether Unix sockets anywhere may be connected to, where the kernel covers that (ABI 9).
    pub unix_sockets: bool,
}

impl Grants {
    /// What an MCP server's profile allows.
    #[must_use]
    pub fn of_child(profile: &Profile) -> Self {
        Self {
            read: profile.read.clone(),
            write: profile.write.clone(),
            execute: profile.execute.clone(),
            tcp: profile.tcp_ports.clone(),
            names: !profile.tcp_ports.is_empty(),
            unix_sockets: profile.unix_sockets,
            ..Self::default()
        }
    }

    /// Adds all that `other` allows.
    pub fn add(&mut self, other: Self) {
        self.read.extend(other.read);
        self.write.extend(other.write);
        self.execute.extend(other.execute);
        self.tidy.extend(other.tidy);
        self.unlink.extend(other.unlink);
        self.tcp.extend(other.tcp);
        self.names |= other.names;
        self.sockets.extend(other.sockets);
        self.unix_sockets |= other.unix_sockets;
    }
}

/// Puts the calling thread and everything it starts into a domain that allows what `grants` says and nothing more.
/// Paths that do not exist, or that this user cannot reach, are left out: they grant nothing.
pub(super) fn restrict(abi: Abi, grants: &Grants) -> Result<(), Failed> {
    let abi = ABI::from(i32::from(abi.number().min(HIGHEST_ABI)));
    enforce(abi, grants).map_err(|error| Failed { step: "Landlock", error })
}

fn enforce(abi: ABI, grants: &Grants) -> io::Result<()> {
    let handled = AccessFs::from_all(abi);
    let ports = AccessNet::from_all(abi);
    let scopes = Scope::from_all(abi);
    // The rights are those of the running kernel, so none of them may be missing.
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(handled)
        .map_err(other)?;
    if !ports.is_empty() {
        ruleset = ruleset.handle_access(ports).map_err(other)?;
    }
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes).map_err(other)?;
    }
    let mut rules = ruleset.create().map_err(other)?;
    for (paths, rights) in [
        (&grants.read, READ),
        (&grants.write, READ | WRITE),
        (&grants.execute, READ | AccessFs::Execute),
        (&grants.tidy, AccessFs::RemoveDir.into()),
        (&grants.unlink, AccessFs::RemoveFile.into()),
        (&grants.sockets, AccessFs::ResolveUnix.into()),
    ] {
        for path in paths {
            let Some(fd) = open(path)? else { continue };
            let fitting = if path.is_dir() { rights } else { rights & AccessFs::from_file(abi) } & handled;
            if !fitting.is_empty() {
                rules = rules.add_rule(PathBeneath::new(fd, fitting)).map_err(other)?;
            }
        }
    }
    if grants.unix_sockets && handled.contains(AccessFs::ResolveUnix) {
        let root = PathFd::new("/").map_err(other)?;
        rules = rules.add_rule(PathBeneath::new(root, AccessFs::ResolveUnix)).map_err(other)?;
    }
    if ports.contains(AccessNet::ConnectTcp) {
        for port in &grants.tcp {
            rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp)).map_err(other)?;
        }
    }
    if grants.names && ports.contains(AccessNet::ConnectSendUdp) {
        // The resolver sends from a port that the kernel chooses.
        rules = rules
            .add_rule(NetPort::new(DNS, AccessNet::ConnectSendUdp))
            .and_then(|rules| rules.add_rule(NetPort::new(0, AccessNet::BindUdp)))
            .map_err(other)?;
    }
    match rules.restrict_self().map_err(other)?.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        status => Err(io::Error::other(format!("the kernel reports {status:?}"))),
    }
}

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// Everything but devices: nobody here has a reason to make or command one.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    WriteFile | Truncate | MakeReg | MakeDir | MakeSym | MakeSock | MakeFifo | RemoveFile | RemoveDir | Refer
});

fn open(path: &Path) -> io::Result<Option<PathFd>> {
    match PathFd::new(path) {
        Ok(fd) => Ok(Some(fd)),
        Err(PathFdError::OpenCall { source, .. }) => match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
                Ok(None)
            }
            _ => Err(source),
        },
        Err(e) => Err(other(e)),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    // The outer text names the builder's step, the innermost what the kernel said.
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    io::Error::other(text)
}
