//! A worker with one task: to look at the certificates that a peer shows. Role of its own, started by `pin`.
//!
//! It speaks TLS with the peer until it knows whether it would believe it, and never a word more: no request is sent, no
//! certificate of ours is presented.

use std::os::fd::OwnedFd;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::peer::{Peer, Tls};
use crate::config::types::HttpUrl;
use crate::exit::Exit;
use crate::ipc::channel::AsyncChannel;
use crate::ipc::errand::{Errand, MAX_TASK};
use crate::net::{self, Phase};
use crate::sys;
use crate::tls::{Sight, Trust};

/// The role's name on the command line.
pub const ROLE: &str = "look";
/// Bound on looking up the name and connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Bound on the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// What the whole task takes at most; the rest is for the start of the process.
pub const BOUND: Duration = Duration::from_secs(30);

/// At whom to look, and whom to believe.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// `https://host:port`.
    pub url: HttpUrl,
    /// `ca_bundle`, PEM.
    pub ca_pem: Option<String>,
    /// What else is known of the peer.
    pub peer: Peer,
    /// What holds for every TLS connection.
    pub tls: Tls,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// What the peer showed; `None` when it did not come to that.
    pub sight: Option<Sight>,
    /// Why the connection did not come about, in one sentence.
    pub failed: Option<String>,
    /// It was the peer's TLS that failed, not the way to it.
    pub reached: bool,
}

/// The whole life of this worker.
#[must_use]
pub fn run() -> Exit {
    let Ok(socket) = sys::process::enter_worker() else { return Exit::Usage };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Exit::Os;
    };
    let answered = runtime.block_on(serve(socket));
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    if answered.is_some() { Exit::Ok } else { Exit::Software }
}

/// From the task to the answer. Whoever started this learns from the end of the socket that there is none.
async fn serve(socket: OwnedFd) -> Option<()> {
    let channel = AsyncChannel::new(socket).ok()?;
    let (messages, fds) = channel.recv::<Errand>().await.ok()??;
    let ([errand], Ok([memfd])) = (messages.as_slice(), <[OwnedFd; 1]>::try_from(fds)) else { return None };
    if errand.size > MAX_TASK {
        return None;
    }
    let bytes = Zeroizing::new(sys::memfd::read_sealed(memfd, errand.size).ok()?);
    if !errand.fits(&bytes) {
        return None;
    }
    let task: Task = serde_json::from_slice(&bytes).ok()?;
    channel.send(&[look(&task).await]).await.ok()
}

/// Looks. Everything that a peer says is read below this function.
async fn look(task: &Task) -> Found {
    let trust = Trust::new(task.ca_pem.as_deref(), task.tls);
    let (config, look) = match trust.and_then(|trust| trust.looking(&task.peer)) {
        Ok(made) => made,
        Err(e) => return Found { sight: None, failed: Some(e.to_string()), reached: false },
    };
    let options = net::Options {
        http2: true,
        idle: Duration::ZERO,
        connect_timeout: CONNECT_TIMEOUT,
        tls_timeout: TLS_TIMEOUT,
        server_name: None,
    };
    let failed = net::handshake(&config, &options, task.url.uri()).await.err();
    Found {
        sight: look.take(),
        reached: failed.as_ref().is_none_or(|e| e.phase == Phase::Tls),
        failed: failed.map(|e| e.to_string()),
    }
}
