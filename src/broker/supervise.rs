//! One worker process: its socket, its permit table, its stderr, and how long it may take for what. Broker only.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::child::Id;
use super::children::Notice;
use super::permit::{Held, MAX_HELD, Permit, Step};
use super::relay::{Bounds, Relay};
use super::spawn::{Images, Process};
use super::window::Window;
use crate::config::types::{self, Transport};
use crate::ipc::channel::{Channel, Received};
use crate::ipc::digest::sha256_hex;
use crate::ipc::msg::{FromWorker, ToWorker, Verdict};
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

/// A worker that was started and not waited for yet.
pub struct Worker {
    /// The process.
    pub process: Process,
    /// Its stderr.
    pub stderr: Relay,
    channel: Channel<ToWorker, FromWorker>,
    permit: Permit,
    /// What it is told once it is confined.
    after_ready: Vec<ToWorker>,
    /// Nothing more is read from it, nothing more said to it: it has said its last word, broke the protocol, or
    /// closed its end.
    mute: bool,
    drained: bool,
    breach: Option<String>,
    /// When it is killed, and what is logged then.
    limit: Option<(Instant, &'static str)>,
}

impl Worker {
    /// Starts a worker and queues its configuration and the calls that it has to answer with a failure.
    ///
    /// # Errors
    /// When the kernel has no resources for it, or the configuration does not fit.
    pub fn start(
        images: &Images,
        config: &types::Worker,
        instance_id: &str,
        orphans: &[Held],
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
        let mut permit = Permit::new(channels, commands);
        let mut after_ready = vec![ToWorker::Go {}];
        let owed = orphans.iter().filter_map(|o| Some((o.orphan(now)?, o.record().map(str::to_owned))));
        for (ask, record) in owed {
            after_ready.push(ToWorker::Orphan(permit.inherit(ask, record, now)));
        }
        Ok(Self {
            process: started.process,
            stderr: Relay::new(started.stderr, "worker".into(), Bounds::WORKER, now),
            channel,
            permit,
            after_ready,
            mute: false,
            drained: false,
            breach: None,
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

    /// Whether it is confined and may be told more than its configuration.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.after_ready.is_empty()
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

    /// The decision about a call is in the audit log under this name.
    pub fn record(&mut self, call: u64, name: String) {
        self.permit.record(call, name);
    }

    /// Tells it whether it may forward a call.
    pub fn answer(&mut self, call: u64, verdict: Verdict, window: &mut Window, log: &Log) {
        if verdict == Verdict::Refused {
            self.permit.refuse(call, window);
        }
        self.say(&ToWorker::Verdict { call, verdict }, Vec::new(), log);
    }

    /// Why it was killed, when it broke the protocol.
    #[must_use]
    pub fn breach(&self) -> Option<&str> {
        self.breach.as_deref()
    }

    /// Passes a notice about a child on.
    pub fn tell(&mut self, notice: Notice, log: &Log) {
        match notice {
            Notice::Started(Id { index, generation }, era, pipes) => {
                self.permit.give(index, generation);
                self.say(&ToWorker::Child { index, era, generation }, vec![pipes.stdin, pipes.stdout], log);
            }
            Notice::Gone(Id { index, generation }, retry_in) => {
                self.say(
                    &ToWorker::ChildGone { index, generation, retry_in_ms: ms(retry_in) },
                    Vec::new(),
                    log,
                );
            }
        }
    }

    /// Tells it to poll no more and to be done within the bound. `poll_grace` is what the outstanding poll still gets;
    /// without one it runs its course.
    pub fn drain(&mut self, stop: &types::Stop, poll_grace: Option<Duration>, now: Instant, log: &Log) {
        self.permit.drain();
        self.limit = Some((now + stop.drain_timeout + END_LIMIT, "worker does not finish"));
        let (poll_grace_ms, deadline_ms) = (poll_grace.map(ms), ms(stop.drain_timeout));
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
                Ok(step) => {
                    self.heed(&step, now, log);
                    steps.push(step);
                }
            }
        }
    }

    fn say(&mut self, message: &ToWorker, fds: Vec<OwnedFd>, log: &Log) {
        if self.channel.queued() >= MAX_QUEUED {
            return self.broke(&"it asks without listening", log);
        }
        if let Err(e) = self.channel.queue(message, fds) {
            self.broke(&e, log);
        }
    }

    /// What a step means for the worker itself.
    fn heed(&mut self, step: &Step, now: Instant, log: &Log) {
        match step {
            Step::Ready { .. } => {
                self.limit = self.limit.filter(|(_, why)| *why != NOT_STARTED);
                for message in std::mem::take(&mut self.after_ready) {
                    self.say(&message, Vec::new(), log);
                }
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
        self.breach = Some(why.to_string());
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
