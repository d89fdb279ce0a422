//! Configuration: read from file, environment and flags, checked once in the broker, then immutable.
//!
//! [`load`] is the way in. It runs in the broker (and in `config check`) before anything else is opened. It reads
//! regular files of bounded size, lists directories of certificates, follows links, and does nothing else: the
//! environment comes in as a snapshot, no process is started, no name is looked up but in `/etc/passwd` and
//! `/etc/group`. What it returns cannot be wrong; what is wrong it reports all at once, without ever repeating the text
//! of a secret.

pub mod accounts;
pub mod argv;
pub mod audit;
pub mod base64;
pub mod call_policy;
mod check;
pub mod confinement;
mod duration;
mod effective;
mod hdr;
pub mod health;
pub mod keys;
mod no_proxy;
mod own;
pub mod packed;
pub mod peek;
pub mod peer;
mod pem;
mod problem;
mod profile;
mod proxy_url;
mod raw;
mod read;
mod reads;
mod reference;
pub mod route;
pub mod schema;
mod secret;
pub mod settings;
mod shell;
mod sources;
mod tree;
pub mod types;
mod url;
mod worker;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use accounts::Accounts;
pub use check::preflight;
pub use problem::{Problem, exit_for};
pub use profile::{directories as profile_directories, expand, is_name as is_profile_name};
pub use sources::Flags;
pub use types::Config;

/// What the configuration may know about the machine and the process.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// A snapshot of the environment; variables that are not UTF-8 are left out.
    pub env: &'a BTreeMap<String, String>,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// Users and groups.
    pub accounts: &'a Accounts,
}

impl Host<'_> {
    /// Whether we run as root: profiles are looked for in `/etc/tunnelward`, and we become somebody else.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Whether flags or environment say anything at all: name a file, or set what a file could set.
#[must_use]
pub fn is_given(flags: &Flags, host: Host<'_>) -> bool {
    let by_env = |key: &keys::Key| host.env.get(key.env).is_some_and(|value| !value.trim().is_empty());
    keys::ALL.iter().any(|key| flags.all(key.flag).is_some() || by_env(key))
}

/// Whom the configuration believes and how it reaches a host, for commands that need nothing else of it.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `ca_bundle`, PEM.
    pub ca_pem: Option<String>,
    /// `control_plane.ca_bundle_only`.
    pub bundle_only: bool,
    /// The `tls` section.
    pub tls: peer::Tls,
    /// `confinement.require`.
    pub require: u8,
    /// `control_plane.pins`.
    pub pins: Vec<peer::Digest>,
    /// Whether the host is the configured control plane, whose settings these are.
    pub is_control: bool,
    /// How the host is reached.
    pub route: route::Route,
    /// What a proxy on the way is shown.
    pub proxy_peer: peer::Peer,
}

/// Reads what says whom to believe. Nothing else has to be there or be right, but the file must be readable.
///
/// # Errors
/// Every problem of these settings.
pub fn load_roots(flags: &Flags, host: Host<'_>, target: &types::HttpUrl) -> Result<Roots, Vec<Problem>> {
    let file = match profile::select(flags, host) {
        Ok(None) => None,
        Ok(Some(path)) => Some(raw::open(&path).map_err(|problem| vec![problem])?.0),
        Err(problem) => return Err(vec![problem]),
    };
    check::roots(sources::Sources::new(flags, host, file, Vec::new()), target)
}

/// Where a service with this configuration answers for its health. Nothing else is looked at, and no secret is read.
///
/// # Errors
/// What is wrong with that part.
pub fn load_health(flags: &Flags, host: Host<'_>) -> Result<health::Health, Vec<Problem>> {
    let file = match profile::select(flags, host).map_err(|problem| vec![problem])? {
        None => None,
        Some(path) => Some(raw::open(&path).map_err(|problem| vec![problem])?.0),
    };
    check::listener(sources::Sources::new(flags, host, file, Vec::new()))
}

/// The content of a file that a configuration was read from, wiped when it is dropped.
///
/// # Errors
/// When it cannot be read, or is larger than any such file may be.
pub fn file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, impl std::error::Error + use<>> {
    read::bytes(path, read::MAX_BUNDLE)
}

/// The settings that count, each with its origin and without secrets, as YAML or JSON; and what is wrong with them.
///
/// # Errors
/// When the file cannot be chosen, read or understood as YAML.
pub fn show(flags: &Flags, host: Host<'_>, json: bool) -> Result<(String, Vec<Problem>), Vec<Problem>> {
    let mut sources = layers(flags, host)?;
    let settings = effective::effective(&mut sources);
    let text = if json { write::json(&settings) } else { write::yaml(&settings) };
    Ok((text, load(flags, host).err().unwrap_or_default()))
}

/// The file that `run` would read; `None` when none is named.
///
/// # Errors
/// When two are named, or it is not there.
pub fn selected(flags: &Flags, host: Host<'_>) -> Result<Option<PathBuf>, Problem> {
    profile::select(flags, host)
}

/// Checks a text as if it were the file `path` of a configuration.
///
/// # Errors
/// Every problem.
pub fn load_text(path: &Path, text: &str, flags: &Flags, host: Host<'_>) -> Result<Config, Vec<Problem>> {
    let (file, problems) = raw::parse(path, text).map_err(|problem| vec![problem])?;
    check::config(sources::Sources::new(flags, host, Some(file), problems))
}

/// Reads and checks everything that `run` needs. Precedence: flag, environment, file, default.
///
/// # Errors
/// Every problem, in the order in which the settings are checked. A file that cannot be chosen, read or understood as
/// YAML is the only problem reported: without it, everything it sets would be reported as missing.
pub fn load(flags: &Flags, host: Host<'_>) -> Result<Config, Vec<Problem>> {
    check::config(layers(flags, host)?)
}

/// The layers of the configuration, the file read.
fn layers<'a>(flags: &'a Flags, host: Host<'a>) -> Result<sources::Sources<'a>, Vec<Problem>> {
    let (file, problems) = match profile::select(flags, host).map_err(|problem| vec![problem])? {
        None => (None, Vec::new()),
        Some(path) => {
            let (file, problems) = raw::open(&path).map_err(|problem| vec![problem])?;
            (Some(file), problems)
        }
    };
    Ok(sources::Sources::new(flags, host, file, problems))
}
