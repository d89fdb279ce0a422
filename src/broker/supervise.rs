//! One worker process: its socket, its permit table, its stderr, and how long it may take for what. Broker only.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::child::Id;
use super::handing::{About, WorkerId};
use super::permit::{Held, MAX_HELD, Permit, Step};
use super::relay::{Bounds, Relay};
use super::spawn::{Images, Process};
use super::window::Window;
use crate::config::types::{self, Transport};
use crate::ipc::channel::{Channel, Received};
use crate::ipc::digest::sha256_hex;
use crate::ipc::msg::{FromWorker, ToWorker};
use crate::log::Log;
use crate::sys::memfd;
use crate::sys::process::Kill;

/// From its start until a worker must say that it serves.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What is logged when it does not.
const NOT_STARTED: &str = "worker does not start";
/// From its last word until a worker must have ended.
const END_LIMIT: Duration = Duration::from_secs(5);
/// Most messages waiting for room in the socket: more than the orphans and the calls of an honest worker together.
const MAX_QUEUED: usize = 3 * MAX_HELD;
/// Frames taken from the worker in one turn of the loop.
const MAX_FRAMES: usize = 16;

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Has not said that it is confined.
    Starting,
    /// Is confined, and waits for leave to use the network.
    Ready,
    /// May use the network.
    Serving,
}

/// A worker that was started and not waited for yet.
pub struct Worker {
    /// Which.
    pub id: WorkerId,
    /// The process.
    pub process: Process,
    /// Its stderr.
    pub stderr: Relay,
    channel: Channel<ToWorker, FromWorker>,
    permit: Permit,
    stage: Stage,
    /// The slots of the commands in its configuration.
    slots: Vec<u8>,
    /// Ended without having served.
    discarded: bool,
    /// Until when it was told to finish.
    finish: Option<Instant>,
    /// Nothing more is read from it, nothing more said to it: it has said its last word, broke the protocol, or
    /// closed its end.
    mute: bool,
    drained: bool,
    /// When it is killed, and what is logged then.
    limit: Option<(Instant, &'static str)>,
}

impl Worker {
    /// Starts a worker and queues its configuration. `slots` are those of its commands.
    ///
    /// # Errors
    /// When the kernel has no resources for it, or the configuration does not fit.
    pub fn start(
        images: &Images,
        config: &types::Worker,
        instance_id: &str,
        (id, slots): (WorkerId, Vec<u8>),
        now: Instant,
    ) -> io::Result<Self> {
        let json = Zeroizing::new(serde_json::to_vec(config).map_err(io::Error::other)?);
        let content = memfd::sealed(&json)?;
        let size = u64::try_from(json.len()).map_err(io::Error::other)?;
        let first = ToWorker::Config { size, sha256: sha256_hex(&json), instance_id: instance_id.into() };
        let started = images.worker()?;
        let mut channel = Channel::new(started.socket);
        channel.queue(&first, vec![content]).map_err(io::Error::other)?;
        let channels = config.bindings.iter().map(|b| b.channel.clone()).collect();
        let commands =
            config.bindings.iter().filter(|b| matches!(b.transport, Transport::Stdio { .. })).count();
        Ok(Self {
            id,
            process: started.process,
            stderr: Relay::new(started.stderr, "worker".into(), Bounds::WORKER, now),
            channel,
            permit: Permit::new(channels, commands),
            stage: Stage::Starting,
            slots,
            discarded: false,
            finish: None,
            mute: false,
            drained: false,
            limit: Some((now + START_LIMIT, NOT_STARTED)),
        })
    }

    /// For polling: the socket, and whether to wait for room in it. `None` when it is of no use any more.
    #[must_use]
    pub fn socket(&self) -> Option<(BorrowedFd<'_>, bool)> {
        (!self.mute).then(|| (self.channel.fd(), self.channel.queued() > 0))
    }

    /// When [`Worker::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.limit.map(|(at, _)| at)
    }

    /// Whether it is confined and waits for leave to use the network.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Whether it was ever let use the network.
    #[must_use]
    pub fn was_let_go(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// Whether it may use the network and listens.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.stage == Stage::Serving && !self.mute
    }

    /// The slots of its commands.
    #[must_use]
    pub fn slots(&self) -> &[u8] {
        &self.slots
    }

    /// The slot of a command that it names.
    #[must_use]
    pub fn slot(&self, index: u8) -> Option<u8> {
        self.slots.get(usize::from(index)).copied()
    }

    /// What it calls the command of a slot.
    fn index(&self, slot: u8) -> Option<u8> {
        self.slots.iter().position(|own| *own == slot).and_then(|at| u8::try_from(at).ok())
    }

    /// Lets it use the network.
    pub fn go(&mut self, log: &Log) {
        self.stage = Stage::Serving;
        self.say(&ToWorker::Go {}, Vec::new(), log);
    }

    /// Makes it answer, with a failure, for calls that a dead worker held.
    pub fn inherit(&mut self, orphans: &[Held], now: Instant, log: &Log) {
        for ask in orphans.iter().filter_map(|o| o.orphan(now)) {
            let ask = self.permit.inherit(ask, now);
            self.say(&ToWorker::Orphan(ask), Vec::new(), log);
        }
    }

    /// Whether it said that nothing is left to do.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.drained
    }

    /// The calls in progress.
    pub fn held(&self) -> impl ExactSizeIterator<Item = &Held> {
        self.permit.held()
    }

    /// The calls that the next worker must answer for.
    #[must_use]
    pub fn into_orphans(self) -> Vec<Held> {
        self.permit.into_held()
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

    /// Sends what is queued, as far as the socket takes it.
    pub fn flush(&mut self, now: Instant) {
        if !self.mute && self.channel.flush().is_err() {
            self.leave(now);
        }
    }

    /// Kills it when it has had its time.
    pub fn tick(&mut self, now: Instant, log: &Log) {
        if let Some((_, why)) = self.limit.filter(|(at, _)| *at <= now) {
            log.error(
                "broker",
                "killing the worker",
                &[("reason", why.into()), ("calls_held", self.held().len().into())],
            );
            self.kill();
            self.limit = Some((now + END_LIMIT, "worker survives being killed"));
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.mute = true;
        self.process.kill(Kill::Force);
    }

    /// Ends it before it has served.
    pub fn discard(&mut self) {
        self.discarded = true;
        self.kill();
    }

    /// Whether it was ended before it has served.
    #[must_use]
    pub fn is_discarded(&self) -> bool {
        self.discarded
    }

    /// Reads what it says, judges it and answers. What is left for the broker to do is appended to `steps`. The first
    /// illegal word is the last.
    /// `false` when nothing more is there, so that a dead worker can be heard to its end.
    pub fn listen(&mut self, window: &mut Window, now: Instant, log: &Log, steps: &mut Vec<Step>) -> bool {
        for _ in 0..MAX_FRAMES {
            if self.mute {
                return false;
            }
            match self.channel.recv() {
                Ok(Received::Nothing) => return false,
                Ok(Received::Closed) => self.leave(now),
                Ok(Received::Frame(_, fds)) if !fds.is_empty() => self.broke(&"it sent a descriptor", log),
                Ok(Received::Frame(messages, _)) => self.frame(messages, window, now, log, steps),
                Err(e) => self.broke(&e, log),
            }
        }
        true
    }

    fn frame(
        &mut self,
        messages: Vec<FromWorker>,
        window: &mut Window,
        now: Instant,
        log: &Log,
        steps: &mut Vec<Step>,
    ) {
        for message in messages {
            match self.permit.accept(message, window, now) {
                Err(breach) => return self.broke(&breach, log),
                Ok(Step::Verdict { call, verdict }) => {
                    self.say(&ToWorker::Verdict { call, verdict }, Vec::new(), log);
                }
                Ok(step) => {
                    self.heed(&step, now);
                    steps.push(step);
                }
            }
        }
    }

    fn say(&mut self, message: &ToWorker, fds: Vec<OwnedFd>, log: &Log) {
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

    /// What a step means for the worker itself.
    fn heed(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Ready { .. } => {
                self.limit = self.limit.filter(|(_, why)| *why != NOT_STARTED);
                self.stage = Stage::Ready;
            }
            Step::Drained { .. } => {
                self.drained = true;
                self.leave(now);
            }
            _ => {}
        }
    }

    /// It has nothing more to say and should end.
    fn leave(&mut self, now: Instant) {
        self.mute = true;
        self.limit = Some((now + END_LIMIT, "worker does not end"));
    }

    fn broke(&mut self, why: &dyn std::fmt::Display, log: &Log) {
        log.error("broker", "worker broke the protocol", &[("reason", why.to_string().into())]);
        self.kill();
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The request ids of a few calls, for the log.
pub fn some_ids(worker: &Worker) -> String {
    worker.held().take(10).map(Held::request_id).collect::<Vec<_>>().join(",")
}
