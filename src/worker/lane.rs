//! One lane for each channel: how many commands wait, how many run. Worker only.
//!
//! Every channel has its own waiting room and its own slots, so that a stuck MCP server never starves another.
//! A full lane is left out of the next poll by its channel filter instead of stopping the poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

use super::reach::Reach;
use crate::config::types::{Channel, Limits};
use crate::mcp::Upstream;

/// The most commands that the control plane hands out at once.
const POLL_LIMIT: usize = 25;
/// Answers that the agent makes up itself (malformed commands, unknown channels) and that still wait to be
/// delivered; above it no poll is sent.
pub const LOCAL_ANSWERS: usize = 256;

/// Commands of all channels that are held at a time; above it no poll is sent. With what one overfull poll may
/// bring on top, it stays below what the broker lets a worker hold.
pub const MAX_JOBS: usize = 10_000;

/// A channel's MCP server with its waiting room.
#[derive(Debug)]
pub struct Lane {
    /// The channel.
    pub channel: Channel,
    /// Its server.
    pub upstream: Upstream,
    /// One permit for each command in progress; fair, so commands start in the order they came.
    pub slots: Semaphore,
    /// Whether the server can be reached.
    pub reach: Reach,
    waiting: AtomicUsize,
    capacity: usize,
    concurrent: usize,
}

/// Everything that bounds what the worker holds.
#[derive(Debug)]
pub struct Lanes {
    lanes: Vec<Arc<Lane>>,
    /// The configured allowlist; a poll filter is part of it.
    allowed: Option<Vec<Channel>>,
    held: AtomicUsize,
    held_max: usize,
    jobs: AtomicUsize,
    local: AtomicUsize,
    /// Raised whenever something becomes free.
    freed: Notify,
}

/// What the next poll may ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Room {
    /// `limit` of the poll: 1 to 25.
    pub limit: usize,
    /// `channel` filters; `None` polls for all.
    pub channels: Option<Vec<Channel>>,
    /// The filter leaves out a full lane, so the poll should be a short one.
    pub partial: bool,
}

impl Lane {
    /// A lane whose waiting room takes `capacity` commands and that runs `concurrent` at a time.
    #[must_use]
    pub fn new(channel: Channel, upstream: Upstream, capacity: usize, concurrent: usize) -> Self {
        let (slots, waiting, reach) = (Semaphore::new(concurrent), AtomicUsize::new(0), Reach::default());
        Self { channel, upstream, slots, reach, waiting, capacity, concurrent }
    }

    /// Commands in progress, and how many may be.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        (self.concurrent.saturating_sub(self.slots.available_permits()), self.concurrent)
    }

    /// Commands that wait, and how many may.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        (self.waiting.load(Ordering::Relaxed), self.capacity)
    }

    fn free(&self) -> usize {
        self.capacity.saturating_sub(self.waiting.load(Ordering::Relaxed))
    }
}

impl Lanes {
    /// The lanes of a configuration.
    #[must_use]
    pub fn new(lanes: Vec<Arc<Lane>>, allowed: Option<Vec<Channel>>, limits: &Limits) -> Self {
        Self {
            lanes,
            allowed,
            held: AtomicUsize::new(0),
            held_max: limits.in_flight_bytes,
            jobs: AtomicUsize::new(0),
            local: AtomicUsize::new(0),
            freed: Notify::new(),
        }
    }

    /// The lane of a channel.
    #[must_use]
    pub fn get(&self, channel: &str) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.channel.as_str() == channel)
    }

    /// All lanes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Lane>> {
        self.lanes.iter()
    }

    /// What the next poll may ask for; `None` while there is no room at all.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        let full = |count: &AtomicUsize, most| count.load(Ordering::Relaxed) >= most;
        if full(&self.held, self.held_max) || full(&self.jobs, MAX_JOBS) || full(&self.local, LOCAL_ANSWERS) {
            return None;
        }
        let polled = |lane: &&Arc<Lane>| self.allowed.as_ref().is_none_or(|a| a.contains(&lane.channel));
        let (open, full): (Vec<_>, Vec<_>) =
            self.lanes.iter().filter(polled).partition(|lane| lane.free() > 0);
        let limit = open.iter().map(|lane| lane.free()).min()?.min(POLL_LIMIT);
        if full.is_empty() {
            return Some(Room { limit, channels: self.allowed.clone(), partial: false });
        }
        let mut channels: Vec<Channel> = open.iter().map(|lane| lane.channel.clone()).collect();
        channels.sort();
        Some(Room { limit, channels: Some(channels), partial: true })
    }

    /// Resolves when something has become free since the last look.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Takes a place in the waiting room of a lane. Never refuses: a control plane that sends more than was asked
    /// for is served all the same, and not polled again before there is room.
    #[must_use]
    pub fn wait_in(self: &Arc<Self>, lane: &Arc<Lane>) -> Waiting {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { lanes: Arc::clone(self), lane: Arc::clone(lane) }
    }

    /// Counts a command and its `bytes` of payload until the guard is dropped.
    #[must_use]
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { lanes: Arc::clone(self), bytes }
    }

    /// Counts an answer made up by the agent until the guard is dropped.
    #[must_use]
    pub fn local_answer(self: &Arc<Self>) -> Local {
        self.local.fetch_add(1, Ordering::Relaxed);
        Local { lanes: Arc::clone(self) }
    }
}

/// A place in a waiting room.
#[derive(Debug)]
pub struct Waiting {
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.lane.waiting.fetch_sub(1, Ordering::Relaxed);
        self.lanes.freed.notify_one();
    }
}

/// A command and the bytes that count as in flight for it.
#[derive(Debug)]
pub struct Held {
    lanes: Arc<Lanes>,
    bytes: usize,
}

impl Held {
    /// Counts more: a complete answer. One that is being read is bounded by itself; it could not be refused anyway.
    pub fn grow(&mut self, bytes: usize) {
        self.lanes.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lanes.jobs.fetch_sub(1, Ordering::Relaxed);
        self.lanes.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.lanes.freed.notify_one();
    }
}

/// An answer of the agent's own that is not delivered yet.
#[derive(Debug)]
pub struct Local {
    lanes: Arc<Lanes>,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.lanes.local.fetch_sub(1, Ordering::Relaxed);
        self.lanes.freed.notify_one();
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
pub(super) mod tests;
