//! The health listener and the files that lead to it: made before the broker is confined, removed when it ends. Broker
//! only; never accepts a connection, never reads a byte of one.
//!
//! Every file is named in a directory that was opened once, made under another name and put in its place, so that no link
//! is followed. What is not what was put there is left alone at the end.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use crate::config::base64;
use crate::config::confinement::Identity;
use crate::config::health::{Health, Listen};
use crate::sys::files::{self, Entry};
use crate::sys::{listen, unix};

/// Of a directory that is made for the socket.
const DIRECTORY_MODE: u32 = 0o750;
const URL_MODE: u32 = 0o600;
const PID_MODE: u32 = 0o644;

/// What the broker holds of it.
#[derive(Debug, Default)]
pub struct Front {
    listener: Option<OwnedFd>,
    url: String,
    made: Vec<Made>,
}

/// An entry that we made, in a directory that is open.
#[derive(Debug)]
struct Made {
    dir: OwnedFd,
    name: OsString,
    entry: Entry,
}

/// Why it cannot be had.
#[derive(Debug)]
pub struct FrontError {
    what: String,
    remedy: &'static str,
    error: io::Error,
}

impl fmt::Display for FrontError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.error, self.remedy)
    }
}

impl std::error::Error for FrontError {}

/// What an operator can do about a listener.
const MOVE: &str = "set another health.listen_addr or health.unix_socket, or health: {enabled: false}";

impl Front {
    /// Makes all of it, for a broker that will be `identity`.
    ///
    /// # Errors
    /// What cannot be made; the rest is removed.
    pub fn open(config: &Health, identity: Option<Identity>) -> Result<Self, FrontError> {
        let owner = identity.map(|identity| (identity.uid, identity.gid));
        let mut front = Self::default();
        match &config.listen {
            None => {}
            Some(Listen::Tcp(address)) => {
                let failed =
                    |error| FrontError { what: format!("cannot listen on {address}"), remedy: MOVE, error };
                let (listener, bound) = listen::tcp(*address).map_err(failed)?;
                (front.listener, front.url) = (Some(listener), url(bound.ip(), bound.port()));
            }
            Some(Listen::Unix(path)) => {
                let what = || format!("cannot listen on {}", path.display());
                let failed = |error| FrontError { what: what(), remedy: MOVE, error };
                front.listener = Some(front.socket(path, owner).map_err(failed)?);
                front.url = format!("http+unix://{}", url_safe(path));
            }
        }
        let pid = format!("{}\n", std::process::id());
        for (path, mode, content, remedy) in [
            (&config.url_file, URL_MODE, front.url.clone(), "set another health.url_file or remove it"),
            (&config.pid_file, PID_MODE, pid, "set another process.pid_file or remove it"),
        ] {
            if let Some(path) = path {
                let what = || format!("cannot write {}", path.display());
                let failed = |error| FrontError { what: what(), remedy, error };
                front.file(path, mode, owner, content.as_bytes()).map_err(failed)?;
            }
        }
        Ok(front)
    }

    /// Where requests come in.
    #[must_use]
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(|fd| fd.as_fd())
    }

    /// The address, as the URL file has it; empty without a listener.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    fn socket(&mut self, path: &Path, owner: Option<(u32, u32)>) -> io::Result<OwnedFd> {
        let (parent, name) = parts(path)?;
        let made = match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(parent) {
            Ok(()) => true,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => false,
            Err(e) => return Err(e),
        };
        if made && let Some(owner) = owner {
            let (above, directory) = parts(parent)?;
            files::give(files::directory(above)?, directory, owner)?;
        }
        let dir = files::directory(parent)?;
        clear(&dir, name)?;
        let listener = listen::unix(&dir, name)?;
        owner.map_or(Ok(()), |owner| files::give(&dir, name, owner))?;
        self.keep(dir, name)?;
        Ok(listener)
    }

    fn file(&mut self, path: &Path, mode: u32, owner: Option<(u32, u32)>, content: &[u8]) -> io::Result<()> {
        let (parent, name) = parts(path)?;
        let dir = files::directory(parent)?;
        let mut draft = OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}", std::process::id()));
        // One of an earlier life with this number, which has ended.
        if files::entry(&dir, &draft)?.is_some() {
            files::remove(&dir, &draft)?;
        }
        files::replace(&dir, (&draft, name), mode, owner, content)?;
        self.keep(dir, name)
    }

    fn keep(&mut self, dir: OwnedFd, name: &OsStr) -> io::Result<()> {
        let entry = files::entry(&dir, name)?.ok_or(ErrorKind::NotFound)?;
        self.made.push(Made { dir, name: name.into(), entry });
        Ok(())
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for Made { dir, name, entry } in &self.made {
            if files::entry(dir, name).ok().flatten().is_some_and(|found| found == *entry) {
                // Where this user may not, the next start replaces it.
                let _ = files::remove(dir, name);
            }
        }
    }
}

fn parts(path: &Path) -> io::Result<(&Path, &OsStr)> {
    path.parent().zip(path.file_name()).ok_or_else(|| ErrorKind::InvalidInput.into())
}

/// Removes a socket that nobody listens on. Anything else stays, and is the reason not to start.
fn clear(dir: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match files::entry(dir, name)? {
        None => Ok(()),
        Some(found) if !found.is_socket => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "something that is no socket is there"))
        }
        Some(_) => match unix::connect(&files::within(dir, name)) {
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => files::remove(dir, name),
            Ok(_) => Err(taken()),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Err(taken()),
            Err(e) => Err(e),
        },
    }
}

fn taken() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "somebody is already accepting connections there")
}

/// As a program of this machine reaches it.
fn url(ip: IpAddr, port: u16) -> String {
    match ip {
        _ if ip.is_unspecified() => format!("http://localhost:{port}"),
        IpAddr::V4(ip) => format!("http://{ip}:{port}"),
        IpAddr::V6(ip) => format!("http://[{ip}]:{port}"),
    }
}

/// The path in base64url without padding (RFC 4648 section 5), as `tunnel-client` writes it.
fn url_safe(path: &Path) -> String {
    let text = base64::encode(path.as_os_str().as_bytes());
    text.trim_end_matches('=').replace('+', "-").replace('/', "_")
}

#[cfg(test)]
#[path = "front_tests.rs"]
mod tests;
