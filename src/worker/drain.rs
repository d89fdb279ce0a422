//! The state of stopping, as every task of the worker sees it. Worker only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long answers that were given up at the bound may take to be posted.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What the broker ordered.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// When to abort the outstanding poll; `None` lets it run its course.
    pub abort_poll: Option<Instant>,
    /// When what is unfinished is given up.
    pub deadline: Instant,
}

/// Shared by all tasks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain {
    order: watch::Sender<Option<Order>>,
    give_up: watch::Sender<bool>,
    jobs: Arc<watch::Sender<usize>>,
}

impl Drain {
    /// Nothing ordered, nothing running.
    #[must_use]
    pub fn new() -> Self {
        Self {
            order: watch::Sender::new(None),
            give_up: watch::Sender::new(false),
            jobs: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The broker orders to stop; a later order replaces an earlier one.
    pub fn order(&self, order: Order) {
        self.order.send_replace(Some(order));
    }

    /// Whether no further poll may be sent.
    #[must_use]
    pub fn ordered(&self) -> bool {
        self.order.borrow().is_some()
    }

    /// Resolves once an order is there.
    pub async fn begun(&self) {
        let mut watch = self.order.subscribe();
        // The sender is in `self`, so waiting cannot fail.
        let _ = watch.wait_for(Option::is_some).await;
    }

    /// Resolves once another worker has taken over; never, while it is the service that stops.
    pub async fn retired(&self) {
        let mut watch = self.order.subscribe();
        let _ = watch.wait_for(|order| order.is_some_and(|order| order.abort_poll.is_none())).await;
    }

    /// Resolves when the outstanding poll is to be aborted; never, when no order says so.
    pub async fn poll_aborted(&self) {
        let mut watch = self.order.subscribe();
        loop {
            let at = watch.borrow_and_update().and_then(|order| order.abort_poll);
            match at {
                Some(at) => tokio::select! {
                    () = sleep_until(at) => return,
                    changed = watch.changed() => if changed.is_err() { return },
                },
                None => {
                    if watch.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Resolves when unfinished commands are to be answered with a failure.
    pub async fn given_up(&self) {
        let mut watch = self.give_up.subscribe();
        let _ = watch.wait_for(|up| *up).await;
    }

    /// Whether unfinished commands are being answered with a failure: nothing may be started any more.
    #[must_use]
    pub fn has_given_up(&self) -> bool {
        *self.give_up.borrow()
    }

    /// Counts a command until the guard is dropped.
    #[must_use]
    pub fn job(&self) -> Job {
        self.jobs.send_modify(|n| *n = n.saturating_add(1));
        Job(Arc::clone(&self.jobs))
    }

    /// Waits until every command is finished, giving up at the ordered deadline. To be called once polling has
    /// ended. Returns how many were unfinished at the deadline: without an answer, or with one not yet delivered.
    pub async fn finish(&self) -> u32 {
        let mut jobs = self.jobs.subscribe();
        let deadline = self.order.borrow().map_or_else(Instant::now, |order| order.deadline);
        let idle = |n: &usize| *n == 0;
        if tokio::time::timeout_at(deadline, jobs.wait_for(idle)).await.is_ok() {
            return 0;
        }
        let unfinished = *self.jobs.borrow();
        self.give_up.send_replace(true);
        let _ = tokio::time::timeout(LAST_WORDS, jobs.wait_for(idle)).await;
        u32::try_from(unfinished).unwrap_or(u32::MAX)
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

/// A command that is not finished.
#[derive(Debug)]
pub struct Job(Arc<watch::Sender<usize>>);

impl Drop for Job {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

#[cfg(test)]
#[path = "drain_tests.rs"]
mod tests;
