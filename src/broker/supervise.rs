//! One worker process: its socket, its permit table, its stderr, and how long it may take for what. Broker only.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::handing::WorkerId;
use super::permit::{Held, Permit, Step};
use super::pulse::Pulse;
use super::relay::{Bounds, Relay};
use super::sockets::Sockets;
use super::spawn::{Images, Process};
use super::window::Window;
use crate::config::route::Via;
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
pub(super) const END_LIMIT: Duration = Duration::from_secs(5);
/// Frames taken from the worker in one turn of the loop.
const MAX_FRAMES: usize = 16;

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
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
    pub(super) channel: Channel<ToWorker, FromWorker>,
    pub(super) permit: Permit,
    sockets: Sockets,
    pub(super) stage: Stage,
    /// The slots of the commands in its configuration.
    pub(super) slots: Vec<u8>,
    /// Ended without having served.
    discarded: bool,
    /// Until when it was told to finish.
    pub(super) finish: Option<Instant>,
    /// Nothing more is read from it, nothing more said to it: it has said its last word, broke the protocol, or
    /// closed its end.
    pub(super) mute: bool,
    drained: bool,
    breach: Option<String>,
    pub(super) pulse: Pulse,
    /// When it is killed, and what is logged then.
    pub(super) limit: Option<(Instant, &'static str)>,
}

impl Worker {
    /// Starts a worker and queues its configuration. `slots` are those of its commands; `listener` is where health
    /// requests come in.
    ///
    /// # Errors
    /// When the kernel has no resources for it, or the configuration does not fit.
    pub fn start(
        images: &Images,
        config: &types::Config,
        instance_id: &str,
        (id, slots, listener): (WorkerId, Vec<u8>, Option<OwnedFd>),
        now: Instant,
    ) -> io::Result<Self> {
        let sockets = Sockets::new(config.unix_sockets.clone());
        let config = &config.worker;
        let json = Zeroizing::new(serde_json::to_vec(config).map_err(io::Error::other)?);
        let content = memfd::sealed(&json)?;
        let size = u64::try_from(json.len()).map_err(io::Error::other)?;
        let first = ToWorker::Config { size, sha256: sha256_hex(&json), instance_id: instance_id.into() };
        let started = images.worker()?;
        let mut channel = Channel::new(started.socket);
        channel.queue(&first, [content].into_iter().chain(listener).collect()).map_err(io::Error::other)?;
        let channels = config.bindings.iter().map(|b| b.channel.clone()).collect();
        let commands =
            config.bindings.iter().filter(|b| matches!(b.transport, Transport::Stdio { .. })).count();
        let with_socket = config.bindings.iter().filter_map(|binding| match &binding.transport {
            Transport::Http { route, .. } => match route.via {
                Via::Unix { binding } => Some(binding),
                Via::Direct | Via::Proxy(_) => None,
            },
            Transport::Stdio { .. } => None,
        });
        Ok(Self {
            id,
            process: started.process,
            stderr: Relay::new(started.stderr, "worker".into(), Bounds::WORKER, now),
            channel,
            permit: Permit::new(channels, commands).with_sockets(with_socket),
            sockets,
            stage: Stage::Starting,
            slots,
            discarded: false,
            finish: None,
            mute: false,
            drained: false,
            breach: None,
            pulse: Pulse::new(now),
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
        self.limit.map(|(at, _)| at).into_iter().chain(self.sockets.deadline().filter(|_| !self.mute)).min()
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

    /// Why it was killed, when it broke the protocol.
    #[must_use]
    pub fn breach(&self) -> Option<&str> {
        self.breach.as_deref()
    }

    /// Sends what is queued, as far as the socket takes it.
    pub fn flush(&mut self, now: Instant) {
        // It is gone or will be; what it said before is heard all the same. A bound that ends sooner stays.
        if !self.mute && self.channel.flush().is_err() {
            let end = now + END_LIMIT;
            if self.limit.is_none_or(|(at, _)| at > end) {
                self.limit = Some((end, "worker does not end"));
            }
        }
    }

    /// Tries again to connect what it asked for, and kills it when it has had its time.
    pub fn tick(&mut self, now: Instant, log: &Log) {
        if !self.mute {
            let mut answers = Vec::new();
            self.sockets.tick(now, &mut answers);
            self.connected(answers, log);
        }
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
                Ok(Step::Connect { binding, ticket }) => {
                    let mut answers = Vec::new();
                    self.sockets.want(binding, ticket, now, &mut answers);
                    self.connected(answers, log);
                }
                Ok(step) => {
                    self.heed(&step, now);
                    steps.push(step);
                }
            }
        }
    }

    /// What a step means for the worker itself.
    fn heed(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Ready { .. } => {
                self.limit = self.limit.filter(|(_, why)| *why != NOT_STARTED);
                self.stage = Stage::Ready;
            }
            Step::Beat(late) => self.pulse.beat(*late, now),
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

    pub(super) fn broke(&mut self, why: &dyn std::fmt::Display, log: &Log) {
        log.error("broker", "worker broke the protocol", &[("reason", why.to_string().into())]);
        self.breach = Some(why.to_string());
        self.kill();
    }
}

/// The request ids of a few calls, for the log.
pub fn some_ids(worker: &Worker) -> String {
    worker.held().take(10).map(Held::request_id).collect::<Vec<_>>().join(",")
}
