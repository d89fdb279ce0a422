//! What a child has sent for one call and its caller has not taken yet.
//!
//! The reader of a child never waits for a caller: notifications beyond the bound are dropped, the end never is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::mcp::failure::Failure;

/// Notifications that may wait.
const MAX_NOTES: usize = 256;

/// Something for the caller.
#[derive(Debug)]
pub(super) enum Event {
    /// A notification, as it is to be posted.
    Note(Bytes),
    /// The response, as it is to be posted; the last event.
    Answer(Bytes),
    /// There will be no response; the last event.
    Failed(Failure),
}

/// The queue between reader and caller.
#[derive(Debug)]
pub(super) struct Inbox {
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    bytes: usize,
}

impl Inbox {
    /// An inbox whose notifications hold at most `max_bytes`.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Adds a notification; `false` when there is no room for it.
    pub(super) fn note(&self, note: Bytes) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = waiting.bytes.saturating_add(note.len());
        if waiting.events.len() >= MAX_NOTES || bytes > self.max_bytes {
            return false;
        }
        waiting.bytes = bytes;
        waiting.events.push_back(Event::Note(note));
        self.arrived.notify_one();
        true
    }

    /// Adds the last event.
    pub(super) fn finish(&self, last: Event) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.events.push_back(last);
        self.arrived.notify_one();
    }

    /// Waits for the next event. One caller only.
    pub(super) async fn next(&self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            self.arrived.notified().await;
        }
    }

    fn take(&self) -> Option<Event> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let event = waiting.events.pop_front()?;
        if let Event::Note(note) = &event {
            waiting.bytes = waiting.bytes.saturating_sub(note.len());
        }
        Some(event)
    }
}
