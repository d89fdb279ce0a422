//! The poll loop: one poll outstanding, as much as there is room for, until told to stop. Worker only.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::dispatch::Dispatch;
use super::drain::Drain;
use super::lane::Lanes;
use super::link::Link;
use super::pulse::Pulse;
use super::stats::Stats;
use crate::control::poll::{Poller, Turn};
use crate::ipc::msg::FromWorker;
use crate::log::Log;

/// What the first poll asks for, and the first after a failure, so that readiness is known soon.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// What a poll asks for that leaves out a full lane: it bounds how long that lane's commands wait once it is free.
const PARTIAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The loop and what it needs.
#[derive(Debug)]
pub struct Polling {
    /// Talks to the control plane.
    pub poller: Poller,
    /// Takes what comes.
    pub dispatch: Arc<Dispatch>,
    /// Says how much may come.
    pub lanes: Arc<Lanes>,
    /// Says when to stop.
    pub drain: Drain,
    /// Told when polling begins or ceases to work.
    pub link: Link,
    /// The configured poll timeout.
    pub timeout: Duration,
    /// Told when this loop will move next.
    pub pulse: Pulse,
    /// Counts the polls.
    pub stats: Stats,
    /// Told when it begins and ends.
    pub log: Log,
}

impl Polling {
    /// Polls until the drain order. Returns when no poll is outstanding and none will be sent.
    pub async fn run(mut self) {
        self.log.info("controlplane", "poller started", &[]);
        self.poll().await;
        self.pulse.rest();
        self.log.info("controlplane", "poller stopped", &[]);
    }

    async fn poll(&mut self) {
        let mut first = true;
        let mut healthy = false;
        while !self.drain.ordered() {
            let Some(room) = self.lanes.room() else {
                // Servers may be as slow as the deadlines of their calls allow.
                self.pulse.rest();
                tokio::select! {
                    () = self.lanes.freed() => {}
                    () = self.drain.begun() => {}
                }
                continue;
            };
            let timeout = match (first, room.partial) {
                (true, _) => self.timeout.min(FIRST_TIMEOUT),
                (false, true) => self.timeout.min(PARTIAL_TIMEOUT),
                (false, false) => self.timeout,
            };
            self.pulse.moves_within(self.poller.deadline_of(timeout));
            let began = Instant::now();
            let turn = tokio::select! {
                // What has come is not thrown away.
                biased;
                turn = self.poller.next(room.limit, timeout, room.channels.as_deref()) => turn,
                () = self.drain.poll_aborted() => return,
            };
            match turn {
                Turn::Batch(polled) => {
                    self.stats.polled(began.elapsed(), &polled.batch.items);
                    first = false;
                    if !healthy {
                        healthy = true;
                        self.link.tell(FromWorker::PollOk {});
                    }
                    self.dispatch.accept(polled);
                }
                Turn::Cut => self.stats.poll_failed(began.elapsed(), None),
                Turn::Failed(trouble) => {
                    healthy = false;
                    // That it works again is known when a poll has ended.
                    first = true;
                    self.stats.poll_failed(began.elapsed(), Some(trouble.class));
                    self.link.tell(FromWorker::PollFailing { kind: trouble.kind, reason: trouble.reason });
                    if let Some(rescued) = trouble.rescued {
                        self.dispatch.accept(rescued);
                    }
                    self.pulse.moves_within(trouble.wait);
                    tokio::select! {
                        () = sleep(trouble.wait) => {}
                        () = self.drain.begun() => {}
                    }
                }
            }
        }
    }
}
