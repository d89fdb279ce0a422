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
use crate::ipc::msg::{Carried, Era};
use crate::mcp::failure::{Failure, Kind};
use crate::mcp::lines::Lines;

/// How soon a child that is to be given back is looked at again while it is in the middle of a line.
const A_MOMENT: Duration = Duration::from_millis(10);

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
        let began = Instant::now();
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
            let until = self.lock().patience(began);
            if timeout_at(until, changed).await.is_err() && self.lock().patience(began) <= Instant::now() {
                return Err(Failure::closed(Kind::ConnectionClosed));
            }
        }
    }

    /// The child is with nobody of ours any more.
    fn hand_back(&self, child: &Arc<Child>, carried: Carried) {
        let (index, generation) = (self.settings.index, child.generation);
        let mut children = self.lock();
        let event = children
            .handed(child)
            .and_then(|era| children.at_end(StdioEvent::Returned { index, generation, era, carried }));
        drop(children);
        if let Some(event) = event {
            self.tell(event);
        }
        self.changed.notify_waiters();
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

/// Moves bytes between a child and its callers until it ends or is given back. What it has answered before it ended is
/// delivered; what it has begun to say before it is given back goes with it.
pub(super) async fn tend(
    shared: Arc<Shared>,
    child: Arc<Child>,
    stdin: pipe::Sender,
    mut stdout: pipe::Receiver,
    unread: Vec<u8>,
) {
    let linger = child.settings.timing.linger;
    let mut lines = Lines::new(child.settings.max_line);
    lines.room().extend_from_slice(&unread);
    let mut writing = Box::pin(child.write(stdin));
    let (mut failure, patience) = loop {
        tokio::select! {
            biased;
            () = child.read(&mut stdout, &mut lines) => break (Failure::closed(Kind::Eof), None),
            failure = &mut writing => break (failure, Some(linger)),
            () = child.left() => break (Failure::closed(Kind::Eof), Some(linger)),
            () = child.parted() => {}
        }
        if let Some(carried) = lines.unfinished().and_then(|unread| child.carry(unread)) {
            // Our ends of the pipes are closed before anybody else is told that it may use them.
            drop((writing, stdout));
            return shared.hand_back(&child, carried);
        }
        // It is in the middle of a long line.
        if timeout(A_MOMENT, child.read(&mut stdout, &mut lines)).await.is_ok() {
            break (Failure::closed(Kind::Eof), None);
        }
    };
    drop(writing);
    shared.detach(&child);
    if let Some(patience) = patience
        && timeout(patience, child.read(&mut stdout, &mut lines)).await.is_ok()
    {
        // A process that ends closes everything, in whatever order that is noticed.
        failure = Failure::closed(Kind::Eof);
    }
    child.end(failure);
}
