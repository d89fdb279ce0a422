//! Connected Unix sockets, which the worker may not make itself: it asks the broker and gets a descriptor. Worker only.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Connected;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Cause, Error, Phase};

/// Requests without an answer at a time; the broker takes a worker that has many more for a hostile one.
const MAX_OUTSTANDING: usize = 32;

/// A connection that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The place of the binding among all bindings.
    pub binding: u8,
    /// Names the request; not used twice while it has no answer.
    pub ticket: u32,
}

/// Where connections are asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sockets(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    wanted: mpsc::UnboundedSender<Wanted>,
    slots: Arc<Semaphore>,
    waiting: Mutex<BTreeMap<u32, Waiting>>,
    next: AtomicU32,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<io::Result<OwnedFd>>,
    /// Free again only when the answer is there, even if nobody waits for it any more.
    slot: OwnedSemaphorePermit,
}

impl Sockets {
    /// Requests go into `wanted`; whoever reads it passes the answers to [`Sockets::answer`].
    #[must_use]
    pub fn new(wanted: mpsc::UnboundedSender<Wanted>) -> Self {
        Self(Arc::new(Shared {
            wanted,
            slots: Arc::new(Semaphore::new(MAX_OUTSTANDING)),
            waiting: Mutex::default(),
            next: AtomicU32::new(1),
        }))
    }

    /// The broker's answer. One that nobody asked for is dropped, and the descriptor closed.
    pub fn answer(&self, ticket: u32, answer: io::Result<OwnedFd>) {
        let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&ticket);
        if let Some(Waiting { answer: to, slot }) = waiting {
            // The one who asked may have gone meanwhile.
            let _ = to.send(answer);
            drop(slot);
        }
    }

    /// A connection to the server of a binding.
    pub(super) async fn open(&self, binding: u8) -> Result<UnixStream, Error> {
        let gone = || Error::unsent(Phase::Connect, Cause::Other, "the broker is gone");
        let slot = Arc::clone(&self.0.slots).acquire_owned().await.map_err(|_| gone())?;
        let ticket = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ticket, Waiting { answer, slot });
        self.0.wanted.send(Wanted { binding, ticket }).map_err(|_| gone())?;
        let connected = answered.await.map_err(|_| gone())?;
        // The descriptor is non-blocking already.
        connected
            .and_then(|fd| UnixStream::from_std(Connected::from(fd)))
            .map_err(|error| Error::io(Phase::Connect, &error))
    }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
