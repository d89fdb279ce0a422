//! One stdio server: the requests it has in flight and the lines that wait for its stdin.
//!
//! Callers put lines in and wait at their inbox; the task in [`super::shared::tend`] moves bytes. Nobody waits while the
//! state is locked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot};
use tokio::time::Instant;

use super::guard::Guard;
use super::inbox::Inbox;
use super::settings::Settings;
use super::table::{Entry, Table};
use super::wire;
use super::writer::{Origin, Outgoing};
use crate::ipc::msg::{Carried, MAX_UNREAD};
use crate::mcp::failure::{Failure, Kind};
use crate::mcp::jsonrpc::Message;

/// Requests in flight at a time when they need not be serialized.
const MAX_IN_FLIGHT: usize = 1024;
/// Answers to the server's own requests that may wait for its stdin.
const MAX_REPLIES: usize = 64;
/// The unit in which waiting lines are counted.
const ROOM_UNIT: usize = 1024;

/// A child, shared by its callers and its task.
pub(super) struct Child {
    /// Which start of the command it is.
    pub(super) generation: u32,
    pub(super) settings: Arc<Settings>,
    slots: Semaphore,
    room: Arc<Semaphore>,
    all_room: u32,
    state: Mutex<State>,
    /// Something waits to be written.
    pub(super) queued: Notify,
    /// The broker says that the process has ended, or another took its place.
    leaving: Notify,
    /// When it came.
    pub(super) since: Instant,
    /// Something has ended, or the child is to be given back.
    calmed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) table: Table,
    pub(super) guard: Guard,
    pub(super) queue: VecDeque<Outgoing>,
    pub(super) replies: usize,
    ended: Option<Failure>,
    /// It is to be given back: nothing more is put in.
    parting: bool,
}

/// Why a message was not put in.
#[derive(Debug)]
pub(super) enum Refused {
    /// The child has ended.
    Ended(Failure),
    /// The server has not been initialized.
    NotInitialized,
    /// The child is being given back; there will be another, or this one again.
    Parting,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Ended(failure) => failure,
            Refused::NotInitialized | Refused::Parting => Self::closed(Kind::ConnectionClosed),
        }
    }
}

impl std::fmt::Debug for Child {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Child").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl Child {
    /// A child that is new, or goes on where another worker has left it.
    pub(super) fn new(generation: u32, settings: Arc<Settings>, carried: &Carried) -> Self {
        let all_room =
            u32::try_from(settings.max_line.saturating_mul(2) / ROOM_UNIT + 1).unwrap_or(u32::MAX >> 4);
        Self {
            generation,
            slots: Semaphore::new(if settings.serialize { 1 } else { MAX_IN_FLIGHT }),
            room: Arc::new(Semaphore::new(usize::try_from(all_room).unwrap_or(1))),
            all_room,
            settings,
            state: Mutex::new(State {
                table: Table::resume(carried.last, carried.retired.iter().copied()),
                guard: Guard(carried.handshake),
                ..State::default()
            }),
            queued: Notify::new(),
            leaving: Notify::new(),
            since: Instant::now(),
            calmed: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another request may be in flight.
    pub(super) async fn slot(&self) -> Result<SemaphorePermit<'_>, Failure> {
        self.slots.acquire().await.map_err(|_| self.why_ended())
    }

    /// Puts a request in. It is out again when the ticket is dropped; before its first byte is written, without a
    /// trace.
    pub(super) async fn request(self: &Arc<Self>, message: &Message) -> Result<Ticket, Refused> {
        let room = self.room_for(message.raw().len()).await?;
        let mut state = self.lock();
        if let Some(failure) = state.ended {
            return Err(Refused::Ended(failure));
        }
        if state.parting {
            return Err(Refused::Parting);
        }
        if !state.guard.admits(message) {
            return Err(Refused::NotInitialized);
        }
        let inbox = Arc::new(Inbox::new(self.settings.max_line));
        let number = state.table.issue();
        let entry = Entry {
            id: message.id().unwrap_or("null").to_owned(),
            token: message.progress_token().map(str::to_owned),
            initialize: message.method() == "initialize",
            inbox: Arc::clone(&inbox),
        };
        state.table.insert(number, entry);
        state.put(wire::request(message, number), Origin::Request(number), Some(room));
        drop(state);
        self.queued.notify_one();
        Ok(Ticket { child: Arc::clone(self), number, inbox })
    }

    /// Puts a notification in and waits until it has been written, unless it is not for the server.
    pub(super) async fn notification(&self, message: &Message) -> Result<(), Refused> {
        let room = self.room_for(message.raw().len()).await?;
        let written = {
            let mut state = self.lock();
            if let Some(failure) = state.ended {
                return Err(Refused::Ended(failure));
            }
            // A cancellation brings the end of what is in progress nearer.
            if state.parting && message.method() != "notifications/cancelled" {
                return Err(Refused::Parting);
            }
            let Some(line) = state.line_for(message, &self.settings) else { return Ok(()) };
            let (tell, written) = oneshot::channel();
            state.put(line, Origin::Notification(tell), Some(room));
            written
        };
        self.queued.notify_one();
        written.await.map_err(|_| Refused::Ended(self.why_ended()))
    }

    /// Puts a line of the agent's own in; `false` when too many wait.
    pub(super) fn reply(&self, state: &mut State, line: Vec<u8>) -> bool {
        if state.replies >= MAX_REPLIES {
            return false;
        }
        state.replies += 1;
        state.put(line, Origin::Agent, None);
        self.queued.notify_one();
        true
    }

    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
        let units = u32::try_from(bytes / ROOM_UNIT + 1).unwrap_or(u32::MAX).min(self.all_room);
        let room = Arc::clone(&self.room).acquire_many_owned(units).await;
        room.map_err(|_| Refused::Ended(self.why_ended()))
    }

    fn why_ended(&self) -> Failure {
        self.lock().ended.unwrap_or(Failure::closed(Kind::ConnectionClosed))
    }

    /// Whether any request is in flight whose `id` is the caller's.
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().table.only(id).is_some()
    }

    #[cfg(test)]
    pub(super) fn lines_waiting(&self) -> usize {
        self.lock().queue.len()
    }

    /// Lets nothing more in, so that the child can be given back; or does so again.
    pub(super) fn part(&self, parting: bool) {
        self.lock().parting = parting;
        self.calm();
    }

    /// Something has ended that a child may have waited for to be given back.
    pub(super) fn calm(&self) {
        self.calmed.notify_one();
    }

    /// Resolves when the child can be given back: nothing more comes, and nothing is in progress or waits.
    pub(super) async fn parted(&self) {
        while self.carry(&[]).is_none() {
            self.calmed.notified().await;
        }
    }

    /// What its next owner has to know; `None` when it cannot be given back now.
    pub(super) fn carry(&self, unread: &[u8]) -> Option<Carried> {
        let state = self.lock();
        let (last, retired) = state.table.idle()?;
        if !state.parting || state.ended.is_some() || !state.queue.is_empty() || unread.len() > MAX_UNREAD {
            return None;
        }
        Some(Carried {
            last,
            retired: retired.iter().copied().collect(),
            handshake: state.guard.0,
            unread: unread.to_vec(),
        })
    }

    /// What stdout still holds is read, then the child is over.
    pub(super) fn leave(&self) {
        self.leaving.notify_one();
    }

    pub(super) async fn left(&self) {
        self.leaving.notified().await;
    }

    /// Fails everything that is in flight or waits.
    pub(super) fn end(&self, failure: Failure) {
        let (unanswered, queue) = {
            let mut state = self.lock();
            state.ended = Some(failure);
            (state.table.drain(), std::mem::take(&mut state.queue))
        };
        for entry in unanswered.into_values() {
            entry.inbox.finish(super::inbox::Event::Failed(failure));
        }
        drop(queue);
        self.slots.close();
        self.room.close();
    }
}

impl State {
    /// What the child gets for a caller's notification; `None`: nothing.
    fn line_for(&mut self, message: &Message, settings: &Settings) -> Option<Vec<u8>> {
        match message.method() {
            "notifications/cancelled" => wire::cancelled(message, &self.table),
            // The agent has sent it already.
            "notifications/initialized" if settings.send_initialized && self.guard.is_open() => None,
            "notifications/initialized" => {
                self.guard.announced();
                Some(wire::plain(message.raw()))
            }
            _ => Some(wire::plain(message.raw())),
        }
    }

    /// Takes a request out whose caller has gone.
    fn abandon(&mut self, number: u64) {
        let mine =
            |line: &Outgoing| line.written == 0 && matches!(line.origin, Origin::Request(n) if n == number);
        let queued = self.queue.iter().position(mine);
        if let Some(at) = queued {
            self.queue.remove(at);
        }
        self.table.abandon(number, queued.is_none());
    }
}

/// A request that is in flight or waits to be.
#[derive(Debug)]
pub(super) struct Ticket {
    child: Arc<Child>,
    number: u64,
    /// Where the child's messages for it arrive.
    pub(super) inbox: Arc<Inbox>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.child.lock().abandon(self.number);
        self.child.calm();
    }
}
