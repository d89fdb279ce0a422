//! What a worker is told. Broker only.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::child::Id;
use super::handing::About;
use super::permit::{Held, MAX_HELD};
use super::sockets::Answer;
use super::supervise::{END_LIMIT, Stage, Worker};
use super::window::Window;
use crate::config::types;
use crate::ipc::msg::{ToWorker, Verdict};
use crate::log::Log;

/// Most messages waiting for room in the socket: more than the orphans and the calls of an honest worker together.
const MAX_QUEUED: usize = 3 * MAX_HELD;

impl Worker {
    /// Lets it use the network.
    pub fn go(&mut self, first: bool, log: &Log) {
        self.stage = Stage::Serving;
        self.say(&ToWorker::Go { first }, Vec::new(), log);
    }

    /// Makes it answer, with a failure, for calls that a dead worker held.
    pub fn inherit(&mut self, orphans: &[Held], now: Instant, log: &Log) {
        let owed = orphans.iter().filter_map(|o| Some((o.orphan(now)?, o.record().map(str::to_owned))));
        for (ask, record) in owed {
            let ask = self.permit.inherit(ask, record, now);
            self.say(&ToWorker::Orphan(ask), Vec::new(), log);
        }
    }

    /// What it calls the command of a slot.
    fn index(&self, slot: u8) -> Option<u8> {
        self.slots.iter().position(|own| *own == slot).and_then(|at| u8::try_from(at).ok())
    }

    /// Tells it something about a child of the slot that `id` names.
    pub fn tell(&mut self, Id { index: slot, generation }: Id, what: About, log: &Log) {
        let Some(index) = self.index(slot) else { return };
        let mut fds = Vec::new();
        let message = match what {
            About::Given(era, carried, pipes) => {
                self.permit.give(index, generation);
                fds = vec![pipes.stdin, pipes.stdout];
                ToWorker::Child { index, era, generation, carried }
            }
            About::Gone(retry_in) => ToWorker::ChildGone { index, generation, retry_in_ms: ms(retry_in) },
            About::Return => ToWorker::Return { index, generation },
            About::Keep => ToWorker::Keep { index, generation },
            About::Elsewhere(within) => ToWorker::Elsewhere { index, within_ms: ms(within) },
        };
        self.say(&message, fds, log);
    }

    /// Tells it how the service is.
    pub fn tell_facts(&mut self, facts: serde_json::Value, log: &Log) {
        self.permit.told_facts();
        self.say(&ToWorker::Facts { facts }, Vec::new(), log);
    }

    /// Tells it whether it may forward a call.
    pub fn answer(&mut self, call: u64, verdict: Verdict, window: &mut Window, log: &Log) {
        if verdict == Verdict::Refused {
            self.permit.refuse(call, window);
        }
        self.say(&ToWorker::Verdict { call, verdict }, Vec::new(), log);
    }

    /// Answers its requests for connections.
    pub(super) fn connected(&mut self, answers: Vec<Answer>, log: &Log) {
        for Answer { ticket, result } in answers {
            self.permit.answered(ticket);
            match result {
                Ok(socket) => self.say(&ToWorker::Connected { ticket }, vec![socket], log),
                Err(errno) => self.say(&ToWorker::ConnectFailed { ticket, errno }, Vec::new(), log),
            }
        }
    }

    /// Tells it to poll no more and to be done within the bound. `poll_grace` is what the outstanding poll still gets;
    /// without one it runs its course.
    pub fn drain(&mut self, stop: &types::Stop, poll_grace: Option<Duration>, now: Instant, log: &Log) {
        self.permit.drain();
        // One that finishes already gets no more time for being told again.
        let finish = now + stop.drain_timeout;
        let finish = self.finish.map_or(finish, |before| before.min(finish));
        self.finish = Some(finish);
        // One that is leaving has less time than that.
        if !self.mute {
            self.limit = Some((finish + END_LIMIT, "worker does not finish"));
        }
        let (poll_grace_ms, deadline_ms) = (poll_grace.map(ms), ms(finish.saturating_duration_since(now)));
        self.say(&ToWorker::Drain { poll_grace_ms, deadline_ms }, Vec::new(), log);
    }

    pub(super) fn say(&mut self, message: &ToWorker, fds: Vec<OwnedFd>, log: &Log) {
        if self.mute {
            return;
        }
        if self.channel.queued() >= MAX_QUEUED {
            return self.broke(&"it asks without listening", log);
        }
        if let Err(e) = self.channel.queue(message, fds) {
            self.broke(&e, log);
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
