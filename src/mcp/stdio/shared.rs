//! What a binding, its callers and the tasks of its children share.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use super::StdioEvent;
use super::child::Child;
use super::children::{Children, Pick};
use super::settings::Settings;
use crate::ipc::msg::Era;
use crate::mcp::failure::{Failure, Kind};

/// A binding without its handle.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) events: mpsc::UnboundedSender<StdioEvent>,
    pub(super) children: Mutex<Children>,
    /// Wakes the calls that wait for a child, in the order of their coming.
    pub(super) changed: Notify,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Children> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: StdioEvent) {
        // Nobody listens only when the worker is at its end.
        let _ = self.events.send(event);
    }

    /// The child for an era; asks for one and waits when there is none.
    pub(super) async fn child(&self, era: Era) -> Result<Arc<Child>, Failure> {
        let until = Instant::now() + self.settings.timing.wait;
        loop {
            let mut changed = pin!(self.changed.notified());
            // Before looking, so that no change is missed.
            changed.as_mut().enable();
            let pick = self.lock().pick(era);
            match pick {
                Pick::Child(child) => return Ok(child),
                Pick::None => return Err(Failure::closed(Kind::ConnectionClosed)),
                Pick::Want { seen } => {
                    self.tell(StdioEvent::Want { index: self.settings.index, era, seen });
                }
                Pick::Wait => {}
            }
            if timeout_at(until, changed).await.is_err() {
                return Err(Failure::closed(Kind::ConnectionClosed));
            }
        }
    }

    /// No new calls for this child.
    pub(super) fn detach(&self, child: &Arc<Child>) {
        if self.lock().detach(child) {
            let generation = child.generation;
            self.tell(StdioEvent::Lost { index: self.settings.index, generation });
            let fields =
                [("channel", self.settings.channel.as_str().into()), ("generation", generation.into())];
            self.settings.log.warn("mcpclient", "stdio server lost", &fields);
        }
    }
}

/// Moves bytes between a child and its callers until it ends. What it has answered before it ended is delivered.
pub(super) async fn tend(
    shared: Arc<Shared>,
    child: Arc<Child>,
    stdin: pipe::Sender,
    stdout: pipe::Receiver,
) {
    let linger = child.settings.timing.linger;
    let mut reading = pin!(child.read(stdout));
    // Stdin is closed when the writer is dropped, whichever branch is taken.
    let (mut failure, patience) = tokio::select! {
        biased;
        () = &mut reading => (Failure::closed(Kind::Eof), None),
        failure = child.write(stdin) => (failure, Some(linger)),
        () = child.left() => (Failure::closed(Kind::Eof), Some(linger)),
        () = child.closed() => (Failure::closed(Kind::Eof), Some(Duration::MAX)),
    };
    shared.detach(&child);
    if let Some(patience) = patience
        && timeout(patience, reading).await.is_ok()
    {
        // A process that ends closes everything, in whatever order that is noticed.
        failure = Failure::closed(Kind::Eof);
    }
    child.end(failure);
}
