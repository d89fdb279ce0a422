//! Names to addresses, addresses to TCP connections. Worker only; contacts nothing but the system's resolver and the
//! addresses that [`super::address`] let through.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout, timeout_at};

use super::address::{self, Host};
use super::{Cause, Error, Phase};
use crate::config::route::Network;

/// How long one address has the field to itself (RFC 8305 section 5: "Connection Attempt Delay").
const STAGGER: Duration = Duration::from_millis(250);

/// An idle connection is probed after this time, and then at this pace; dead after three probes.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_PROBES: u32 = 3;

/// After so long without an answer from any address all are tried anew. The kernel asks again after 1, 3, 7 and 15
/// seconds, so that a network that comes back would be noticed late.
const ROUND: Duration = Duration::from_secs(5);

/// A resolver that hangs keeps its thread, also after we stopped waiting for it: so many threads at most.
const LOOKUPS: usize = 4;

/// Opens TCP connections. Cheap to clone; clones share the bound on name lookups.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    timeout: Duration,
    lost_after: Option<Duration>,
    lookups: Arc<Semaphore>,
}

impl Dialer {
    /// `timeout` bounds the lookup and all connection attempts together. A connection whose peer acknowledges nothing
    /// for `lost_after` ends; without it, only one that is idle does, after two minutes.
    pub(super) fn new(timeout: Duration, lost_after: Option<Duration>) -> Self {
        Self { timeout, lost_after, lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }

    /// Connects to the first address of `host` that answers, of those in `allowed` if there is such a list.
    pub(super) async fn dial(
        &self,
        host: &Host,
        port: u16,
        allowed: Option<&[Network]>,
    ) -> Result<TcpStream, Error> {
        let deadline = Instant::now() + self.timeout;
        let found = match host {
            Host::Address(address) => vec![SocketAddr::new(*address, port)],
            Host::Name(name) => match timeout_at(deadline, self.lookup(name.clone(), port)).await {
                Ok(found) => found?,
                Err(_) => return Err(Error::unsent(Phase::Dns, Cause::Dns, "the name lookup timed out")),
            },
        };
        let candidates = address::candidates(found, allowed)?;
        let stream = match timeout_at(deadline, rounds(&candidates)).await {
            Ok(connected) => connected.map_err(|error| Error::io(Phase::Connect, &error))?,
            Err(_) => return Err(Error::unsent(Phase::Connect, Cause::Timeout, "connecting timed out")),
        };
        tune(&stream, self.lost_after);
        Ok(stream)
    }

    /// Asks getaddrinfo, on a thread of its own: it blocks.
    async fn lookup(&self, name: String, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let failed = || Error::unsent(Phase::Dns, Cause::Other, "the name lookup could not be started");
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| failed())?;
        let asked = spawn_blocking(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
            drop(permit);
            found
        });
        asked.await.map_err(|_| failed())?.map_err(|error| {
            // The text is the resolver's own ("Name does not resolve"); it does not repeat the name.
            Error::unsent(Phase::Dns, Cause::Dns, format!("the name could not be resolved: {error}"))
        })
    }
}

/// Tries all addresses, again and again while none of them says anything.
async fn rounds(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    loop {
        if let Ok(ended) = timeout(ROUND, race(addresses)).await {
            return ended;
        }
    }
}

/// "Happy eyeballs": the next address is tried when the one before it failed, or did not answer in time; the first
/// to answer wins and the others are abandoned (RFC 8305 section 5). Fails with the failure that came first.
async fn race(addresses: &[SocketAddr]) -> std::io::Result<TcpStream> {
    if let [only] = addresses {
        return TcpStream::connect(*only).await;
    }
    let mut waiting = addresses.iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        if let Some(address) = waiting.next() {
            attempts.spawn(TcpStream::connect(*address));
        }
        let ended = if waiting.len() == 0 {
            attempts.join_next().await
        } else {
            match timeout(STAGGER, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => {
                failure.get_or_insert(error);
            }
            Some(Err(_)) => {}
            None => return Err(failure.unwrap_or_else(|| std::io::ErrorKind::Other.into())),
        }
    }
}

/// Small writes leave at once, and a peer that vanished is noticed. A socket that refuses an option still works, so
/// failures are not fatal.
fn tune(stream: &TcpStream, lost_after: Option<Duration>) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    // Half of the time in silence, then a probe for each sixth.
    let idle = lost_after.map_or(KEEPALIVE, |whole| whole / 2);
    let pace = lost_after.map_or(KEEPALIVE, |whole| whole / 6).max(Duration::from_secs(1));
    let _ = sockopt::set_tcp_keepidle(stream, idle);
    let _ = sockopt::set_tcp_keepintvl(stream, pace);
    if let Some(ms) = lost_after.and_then(|whole| u32::try_from(whole.as_millis()).ok()) {
        let _ = sockopt::set_tcp_user_timeout(stream, ms);
    }
    let _ = sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES);
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
