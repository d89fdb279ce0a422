//! What the attempts are made on: files, sockets and a process that an ordinary process of the user can reach.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::observe::{self, Started};
use super::task::{Post, Task, Word};
use crate::broker::spawn::Images;
use crate::config::confinement::Identity;
use crate::confine::attempts::{Context, FILES, PROGRAM, SOCKET};
use crate::confine::landlock::Grants;

/// A directory of this name and a number is free after so many tries, or somebody fills them up.
const TRIES: u32 = 100;
/// How long the neighbour may take to be there.
const NEIGHBOUR_WITHIN: Duration = Duration::from_secs(10);

/// All of it; gone when dropped.
pub struct Stage {
    context: Context,
    neighbour: Option<Started>,
    _tcp: TcpListener,
    _unix: UnixListener,
    _abstract: UnixListener,
}

impl Stage {
    /// Sets everything up, for the user that `identity` names. No port is one of those that `granted` names.
    ///
    /// # Errors
    /// When a file or socket cannot be made, or the neighbour does not start.
    pub fn set(
        images: &Images,
        base: &Path,
        identity: Option<Identity>,
        granted: &Grants,
        mut own_files: Vec<PathBuf>,
    ) -> io::Result<Self> {
        let stage = directory(base)?;
        let made = Made(stage.clone());
        for name in FILES {
            std::fs::write(stage.join(name), "nobody's business\n")?;
            own(&stage.join(name), identity)?;
        }
        std::fs::write(stage.join(PROGRAM), "#!/bin/sh\nexit 0\n")?;
        std::fs::set_permissions(stage.join(PROGRAM), std::fs::Permissions::from_mode(0o755))?;
        own(&stage.join(PROGRAM), identity)?;
        let unix = UnixListener::bind(stage.join(SOCKET))?;
        own(&stage.join(SOCKET), identity)?;
        own(&stage, identity)?;
        own_files.extend(FILES.iter().map(|name| stage.join(name)));
        let tcp = listener(granted)?;
        let port = tcp.local_addr()?.port();
        let abstract_socket = stage.display().to_string();
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_socket)?)?;
        let neighbour = neighbour(images, identity)?;
        let context = Context { stage, own_files, port, abstract_socket, neighbour: neighbour.pid() };
        drop(made.keep());
        Ok(Self { context, neighbour: Some(neighbour), _tcp: tcp, _unix: unix, _abstract: listener })
    }

    /// Where everything is.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(neighbour) = self.neighbour.take() {
            neighbour.end();
        }
        // What is left of it in a directory for temporary files harms nobody.
        let _ = std::fs::remove_dir_all(&self.context.stage);
    }
}

/// A directory that is removed again unless everything worked.
struct Made(PathBuf);

impl Made {
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A new directory, never one that is there.
fn directory(base: &Path) -> io::Result<PathBuf> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for n in 0..TRIES {
        let path = base.join(format!("tunnelward-probe-{}-{n}", std::process::id()));
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => last = e,
            Err(e) => return Err(e),
        }
    }
    Err(last)
}

fn own(path: &Path, identity: Option<Identity>) -> io::Result<()> {
    match identity {
        Some(Identity { uid, gid }) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

fn listener(granted: &Grants) -> io::Result<TcpListener> {
    for _ in 0..TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        if !granted.tcp.contains(&listener.local_addr()?.port()) {
            return Ok(listener);
        }
    }
    Err(io::Error::other("every TCP port is granted"))
}

fn neighbour(images: &Images, identity: Option<Identity>) -> io::Result<Started> {
    let task = Task { require: 0, post: Post::Neighbour { identity }, attempt: None };
    let started = observe::start(images, &task)?;
    match started.next(NEIGHBOUR_WITHIN)? {
        Some(Word::Ready {}) => Ok(started),
        Some(Word::Failed(text)) => Err(io::Error::other(text)),
        _ => Err(io::Error::other("the process to make attempts on did not start")),
    }
}
