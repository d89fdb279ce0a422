//! What the configuration says about health: where it is answered for, and which files say so. Pure data, made by
//! `config::check` and used by the broker; what the worker needs of it is in [`Answers`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `health` and `process`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where it listens; `None` when `health.enabled` is false.
    pub listen: Option<Listen>,
    /// `health.url_file`: gets the address.
    pub url_file: Option<PathBuf>,
    /// `process.pid_file`.
    pub pid_file: Option<PathBuf>,
}

impl Health {
    /// The files that are made at the start and removed at the end.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let socket = match &self.listen {
            Some(Listen::Unix(path)) => Some(path),
            Some(Listen::Tcp(_)) | None => None,
        };
        socket.into_iter().chain(&self.url_file).chain(&self.pid_file)
    }
}

/// Where the listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `health.listen_addr`; port 0 takes a free one.
    Tcp(SocketAddr),
    /// `health.unix_socket`.
    Unix(PathBuf),
}

/// Where `tunnel-client` listens, too.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

impl Default for Health {
    fn default() -> Self {
        Self { listen: Some(Listen::Tcp(DEFAULT_ADDRESS)), url_file: None, pid_file: None }
    }
}

/// How the worker answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answers {
    /// `health.show_details`: what `/health` shows when the request does not say.
    pub details: bool,
    /// The Unix socket is where requests come in: whoever may open it is local, whatever `Host` says.
    pub unix: bool,
    /// The address that is listened on, which `Host` may name; loopback always may be named.
    pub address: Option<IpAddr>,
}
