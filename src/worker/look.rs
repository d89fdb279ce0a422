//! A worker with one task: to look at the certificates that a peer shows. Role of its own, started by `pin`.
//!
//! It speaks TLS with the peer until it knows whether it would believe it, and never a word more: no request is sent, no
//! certificate of ours is presented.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::config::peer::{Peer, Tls};
use crate::config::route::Route;
use crate::config::types::HttpUrl;
use crate::confine::kernel::Kernel;
use crate::confine::{self, Sealed};
use crate::exit::Exit;
use crate::ipc::channel::{AsyncChannel, Channel, Received};
use crate::ipc::errand::{Errand, MAX_TASK};
use crate::log::{Level, Log};
use crate::net::{self, Phase};
use crate::sys;
use crate::sys::poll::{self, Interest};
use crate::tls::{Sight, Trust};

/// The role's name on the command line.
pub const ROLE: &str = "look";
/// How long the task may take to come; it is sent right after the start.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
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
    /// How it is reached.
    pub route: Route,
    /// What a proxy on the way is shown, and how it is known.
    pub proxy_peer: Peer,
    /// What holds for every TLS connection.
    pub tls: Tls,
    /// The Landlock ABI below which it does not look.
    pub require: u8,
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
    let Some(task) = receive(&socket) else { return Exit::Software };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Exit::Os;
    };
    let inside = runtime.enter();
    let Ok(channel) = AsyncChannel::new(socket) else { return Exit::Os };
    drop(inside);
    let sealed = confine(&task);
    let answered = runtime.block_on(async {
        let found = match sealed {
            Ok(sealed) => look(&sealed, &task).await,
            Err(why) => Found { sight: None, failed: Some(why), reached: false },
        };
        channel.send(&[found]).await
    });
    // A name lookup that hangs must not keep the process.
    runtime.shutdown_background();
    if answered.is_ok() { Exit::Ok } else { Exit::Software }
}

/// Before it reads the network. What it opens for itself is open by then, as with every worker.
fn confine(task: &Task) -> Result<Sealed, String> {
    // The generator looks at the system once, when it is first used.
    let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
    let abi = Kernel::probe().check(task.require).map_err(|e| e.to_string())?;
    confine::errand(abi, task.route.tcp_port(&task.url)).map_err(|e| format!("confinement failed at {e}"))
}

/// The task. Whoever started this learns from the end of the socket that there is none.
fn receive(socket: &OwnedFd) -> Option<Task> {
    poll::wait(&[Interest::read(socket.as_fd())], Some(TOLD_WITHIN)).ok()?;
    let Ok(Received::Frame(messages, fds)) = Channel::<Found, Errand>::new(socket.try_clone().ok()?).recv()
    else {
        return None;
    };
    let ([errand], Ok([memfd])) = (messages.as_slice(), <[OwnedFd; 1]>::try_from(fds)) else { return None };
    if errand.size > MAX_TASK {
        return None;
    }
    let bytes = Zeroizing::new(sys::memfd::read_sealed(memfd, errand.size).ok()?);
    if !errand.fits(&bytes) {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

/// Looks. Everything that a peer says is read below this function, and only a confined process gets here.
async fn look(_: &Sealed, task: &Task) -> Found {
    let made = Trust::new(task.ca_pem.as_deref(), task.tls).and_then(|trust| {
        let (config, look) = trust.looking(&task.peer)?;
        Ok((config, look, trust.client(&task.proxy_peer, "proxy", &Log::relay(Level::Error))?))
    });
    let (config, look, proxy_tls) = match made {
        Ok(made) => made,
        Err(e) => return Found { sight: None, failed: Some(e.to_string()), reached: false },
    };
    let options = net::Options {
        http2: true,
        idle: Duration::ZERO,
        connect_timeout: CONNECT_TIMEOUT,
        tls_timeout: TLS_TIMEOUT,
        server_name: None,
        lost_after: None,
        // No Unix socket is on the way to a host of the command line.
        way: net::Way::of(&task.route, &proxy_tls, &net::Sockets::new(mpsc::unbounded_channel().0)),
    };
    let failed = net::handshake(&config, &options, task.url.uri()).await.err();
    Found {
        sight: look.take(),
        reached: failed.as_ref().is_none_or(|e| e.phase == Phase::Tls),
        failed: failed.map(|e| e.to_string()),
    }
}
