//! MCP over stdio: requests of many callers over the pipes of one child for each era. Worker only.
//!
//! The broker starts and stops the children; their pipes come through [`Stdio::attach`] and wishes go out as
//! [`StdioEvent`]s. A child serves one era: the one started in advance takes that of its first message, another is
//! wanted only when the other era is asked for. Nothing here starts a process, and nothing that becomes of a call
//! (its deadline, its age limit, the delivery of its answer) touches the child.
//!
//! With `serialize`, one request at a time is with the server; notifications pass, or a cancellation would come too
//! late.

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::failure::Failure;
use super::{Answer, Call, End, Note};
use crate::config::types::{Channel, Limits, Mcp};
use crate::ipc::msg::{Carried, Era};
use crate::log::Log;
use child::{Child, Refused, Ticket};
use children::Children;
use inbox::Event;
use settings::{Counts, Settings, TIMING};
use shared::{Shared, tend};

mod child;
mod children;
mod guard;
mod inbox;
mod reader;
mod settings;
mod shared;
mod table;
mod wire;
mod writer;

/// What the worker passes on to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StdioEvent {
    /// A call waits for a child.
    Want {
        /// Which command.
        index: u8,
        /// For which era.
        era: Era,
        /// The last start of the command that came through [`Stdio::attach`]; 0 when none did.
        seen: u32,
    },
    /// A child has closed a pipe or stopped reading; it is of no use any more.
    Lost {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
    },
    /// A child is given back.
    Returned {
        /// Which command.
        index: u8,
        /// Which start of it.
        generation: u32,
        /// The era that it has taken.
        era: Option<Era>,
        /// What is known of it.
        carried: Carried,
    },
}

/// A child that runs.
#[derive(Debug)]
pub struct ChildPipes {
    /// The write end of its stdin.
    pub stdin: OwnedFd,
    /// The read end of its stdout.
    pub stdout: OwnedFd,
    /// The era it was started for; `None` takes that of its first message.
    pub era: Option<Era>,
    /// Which start of the command it is.
    pub generation: u32,
    /// What another worker knew of it, if one had it before.
    pub carried: Option<Carried>,
}

/// A stdio binding. Cheap to share by reference; all methods take `&self`.
#[derive(Debug)]
pub struct Stdio(Arc<Shared>);

impl Stdio {
    /// A binding without children yet. `index` counts in the configuration's command list.
    #[must_use]
    pub fn new(
        index: u8,
        serialize: bool,
        mcp: &Mcp,
        limits: &Limits,
        events: mpsc::UnboundedSender<StdioEvent>,
        log: Log,
        channel: Channel,
    ) -> Self {
        Self::with(
            Settings {
                index,
                serialize,
                send_initialized: mcp.stdio_send_initialized,
                max_age: mcp.connection_max_ttl,
                max_line: limits.answer_bytes,
                timing: TIMING,
                channel,
                log,
                counts: Counts::default(),
            },
            events,
        )
    }

    fn with(settings: Settings, events: mpsc::UnboundedSender<StdioEvent>) -> Self {
        let timing = settings.timing;
        Self(Arc::new(Shared {
            settings: Arc::new(settings),
            events,
            children: Mutex::new(Children::new(timing)),
            changed: Notify::new(),
        }))
    }

    /// The place of its command in the configuration's list.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.0.settings.index
    }

    /// Takes a child that the broker has started. It replaces the one of its era, if that is still here. Must be
    /// called within the runtime.
    pub fn attach(&self, pipes: ChildPipes) {
        let (generation, era) = (pipes.generation, pipes.era);
        let channel = self.0.settings.channel.as_str();
        let fields = [("channel", channel.into()), ("generation", generation.into())];
        let stdin = pipe::Sender::from_owned_fd(pipes.stdin);
        let (Ok(stdin), Ok(stdout)) = (stdin, pipe::Receiver::from_owned_fd(pipes.stdout)) else {
            self.0.settings.log.error("mcpclient", "a stdio server came without usable pipes", &fields);
            return self.0.tell(StdioEvent::Lost { index: self.index(), generation });
        };
        self.0.settings.log.info("mcpclient", "stdio server attached", &fields);
        let carried = pipes.carried.unwrap_or_default();
        let child = Arc::new(Child::new(generation, Arc::clone(&self.0.settings), &carried));
        if let Some(old) = self.0.lock().attach(Arc::clone(&child), era) {
            old.leave();
        }
        tokio::spawn(tend(Arc::clone(&self.0), child, stdin, stdout, carried.unread));
        self.0.changed.notify_waiters();
    }

    /// The broker says that a child has ended or could not be started, and when it will start the next.
    pub fn gone(&self, generation: u32, retry_in: Duration) {
        let retry_at = Instant::now().checked_add(retry_in);
        if let Some(child) = self.0.lock().gone(generation, retry_at) {
            child.leave();
        }
        self.0.changed.notify_waiters();
    }

    /// Another worker needs the child: it is given back as soon as everything that was written to it has been
    /// answered. Calls that waited for it when it came are let in before. Must be called within the runtime.
    pub fn give_back(&self, generation: u32) {
        let shared = Arc::clone(&self.0);
        let since = shared.lock().all().find(|child| child.generation == generation).map(|child| child.since);
        let Some(at) = since.and_then(|since| since.checked_add(shared.settings.timing.turn)) else { return };
        tokio::spawn(async move {
            sleep_until(at).await;
            let parted = shared.lock().part(generation);
            if let Some(child) = parted {
                child.part(true);
            }
        });
    }

    /// The child is not needed elsewhere any more.
    pub fn keep(&self, generation: u32) {
        let back = self.0.lock().rejoin(generation);
        if let Some(child) = back {
            child.part(false);
            self.0.changed.notify_waiters();
        }
    }

    /// Another worker has the child that was asked for, and gives it back within this time.
    pub fn elsewhere(&self, within: Duration) {
        self.0.lock().elsewhere(Instant::now().checked_add(within));
        self.0.changed.notify_waiters();
    }

    /// Gives all children back, for the end of the worker. Later calls fail. What is returned is to be told before the
    /// worker's last word; a child that is missing in it could not be given back.
    pub async fn finish(&self) -> Vec<StdioEvent> {
        for child in self.0.lock().close() {
            child.part(true);
        }
        self.0.changed.notify_waiters();
        let until = Instant::now() + self.0.settings.timing.farewell;
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            let returned = self.0.lock().leave(Instant::now() >= until);
            if let Some(returned) = returned {
                return returned;
            }
            let _ = timeout_at(until, changed).await;
        }
    }

    /// Forwards a request. Notifications that belong to it go to `notes` in their order.
    pub async fn request(&self, call: Call, notes: &mpsc::Sender<Note>) -> End {
        let work = async {
            match self.exchange(&call, notes).await {
                Ok(answer) => answer,
                Err(failure) => failed(failure, call.message.id()),
            }
        };
        self.bounded(&call, work).await
    }

    /// Forwards a notification; it is acknowledged when it has been written.
    ///
    /// A `notifications/cancelled` that does not name exactly one request in flight, and a `notifications/initialized`
    /// that the agent has sent itself, are acknowledged and not written.
    pub async fn notification(&self, call: Call) -> End {
        let work = async {
            match self.announce(&call).await {
                Ok(()) => Answer { code: 200, headers: HeaderMap::new(), body: None, failure: None },
                Err(failure) => failed(failure, None),
            }
        };
        self.bounded(&call, work).await
    }

    /// Does the work within the call's deadline and the binding's age limit. Dropping the work takes it back: what
    /// has not begun to be written never is.
    async fn bounded(&self, call: &Call, work: impl Future<Output = Answer>) -> End {
        let too_old = Instant::now().checked_add(self.0.settings.max_age);
        tokio::select! {
            biased;
            answer = work => End::Answer(answer),
            () = passed(call.deadline) => End::DeadlinePassed,
            () = passed(too_old) => End::Answer(failed(Failure::timeout(false), call.message.id())),
        }
    }

    async fn exchange(&self, call: &Call, notes: &mpsc::Sender<Note>) -> Result<Answer, Failure> {
        loop {
            let child = self.0.child(call.message.era()).await?;
            let _slot = child.slot().await?;
            match child.request(&call.message).await {
                Ok(ticket) => return Self::answer(&ticket, notes).await,
                Err(Refused::Ended(failure)) => return Err(failure),
                Err(Refused::NotInitialized) => {
                    let (code, body) = (guard::REFUSED, Some(guard::refusal(call.message.id())));
                    return Ok(Answer { code, headers: json(), body, failure: None });
                }
                Err(Refused::Parting) => {}
            }
        }
    }

    async fn answer(ticket: &Ticket, notes: &mpsc::Sender<Note>) -> Result<Answer, Failure> {
        let mut wanted = true;
        loop {
            match ticket.inbox.next().await {
                Event::Note(body) if wanted => {
                    let headers = content_type("text/event-stream");
                    wanted = notes.send(Note { code: 200, headers, body }).await.is_ok();
                }
                Event::Note(_) => {}
                Event::Answer(body) => {
                    return Ok(Answer { code: 200, headers: json(), body: Some(body), failure: None });
                }
                Event::Failed(failure) => return Err(failure),
            }
        }
    }

    async fn announce(&self, call: &Call) -> Result<(), Failure> {
        let message = &call.message;
        if message.method() != "notifications/cancelled" {
            loop {
                match self.0.child(message.era()).await?.notification(message).await {
                    Ok(()) => return Ok(()),
                    Err(Refused::Parting) => {}
                    Err(refused) => return Err(refused.into()),
                }
            }
        }
        // A cancellation does not tell its era, and needs no child that is not there.
        let id = message.params().and_then(|p| super::jsonrpc::members(p, ["requestId"])).map(|m| m.values);
        let Some([Some(id)]) = id else { return Ok(()) };
        let owner = self.0.lock().all().find(|child| child.has(id)).cloned();
        match owner {
            Some(child) => Ok(child.notification(message).await?),
            None => Ok(()),
        }
    }
}

fn content_type(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))])
}

fn json() -> HeaderMap {
    content_type("application/json")
}

/// What is posted for a failure: an error for a request, a bare code for a notification.
fn failed(failure: Failure, id: Option<&str>) -> Answer {
    let body = id.map(|_| failure.body(id));
    let headers = if body.is_some() { json() } else { HeaderMap::new() };
    Answer { code: failure.code(), headers, body, failure: Some(failure) }
}

/// Resolves at the instant; never when there is none.
async fn passed(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
