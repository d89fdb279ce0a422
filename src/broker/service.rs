//! The broker's loop: what is due, what is to be sent, one wait, what is ready. Broker only.
//!
//! Everything that changes the state of the service passes through [`Broker::turn`].

use std::io;
use std::os::fd::AsFd as _;
use std::time::Instant;

use crate::config::types::Config;
use crate::confine::Sealed;
use crate::exit::Exit;
use crate::log::Log;
use crate::sys::poll::{self, Interest, Ready};
use crate::sys::signals::{Signal, Signals};

use super::audit::Audit;
use super::budget::Budget;
use super::child::{Id, Part};
use super::children::{Children, Notice};
use super::notify::Notify;
use super::permit::{Held, Step};
use super::resolver::Resolver;
use super::spawn::Images;
use super::strays;
use super::supervise::Worker;
use super::window::Window;

/// What a ready descriptor means.
#[derive(Clone, Copy, Debug)]
enum Token {
    Signal,
    Socket,
    WorkerStderr,
    WorkerExit,
    Child(Id, Part),
}

/// The whole state of a service.
pub struct Broker {
    pub(super) config: Config,
    pub(super) instance_id: String,
    pub(super) images: Images,
    pub(super) signals: Signals,
    pub(super) notify: Notify,
    pub(super) log: Log,
    pub(super) window: Window,
    pub(super) worker: Option<Worker>,
    pub(super) worker_budget: Budget,
    /// When the next worker is started, while there is none.
    pub(super) restart_at: Option<Instant>,
    /// What the next worker has to answer with a failure.
    pub(super) orphans: Vec<Held>,
    pub(super) children: Children,
    /// For the worker, as soon as there is one.
    pub(super) notices: Vec<Notice>,
    pub(super) resolver: Resolver,
    pub(super) audit: Audit,
    /// The worker was told to end for another to take its place.
    pub(super) retiring: bool,
    pub(super) started: bool,
    /// Set when the service stops: the code to end with.
    pub(super) stopping: Option<Exit>,
}

impl Broker {
    /// Nothing is started yet; what will be is confined, because this process is.
    pub fn new(
        _: &Sealed,
        config: Config,
        instance_id: String,
        images: Images,
        signals: Signals,
        notify: Notify,
        log: Log,
    ) -> Self {
        let children = Children::new(
            images.clone(),
            config.confinement.require,
            config.commands.clone(),
            &config.restart,
            log.clone(),
        );
        Self {
            worker_budget: Budget::new(&config.restart),
            children,
            config,
            instance_id,
            images,
            signals,
            notify,
            log,
            window: Window::default(),
            worker: None,
            restart_at: None,
            orphans: Vec::new(),
            notices: Vec::new(),
            resolver: Resolver::new(Instant::now()),
            audit: Audit::default(),
            retiring: false,
            started: false,
            stopping: None,
        }
    }

    /// Starts everything and serves until a signal or a violation ends it.
    pub fn serve(mut self) -> Exit {
        let exit = self.live();
        self.audit.stop(exit.code(), Instant::now(), &self.log);
        exit
    }

    fn live(&mut self) -> Exit {
        let now = Instant::now();
        self.notify.status("starting");
        match self.children.begin(now) {
            Ok(notices) => self.notices = notices,
            Err(e) => {
                e.log(&self.log);
                self.kill_all();
                return Exit::Unavailable;
            }
        }
        if let Err(e) = self.start_worker(now) {
            self.failed("the worker cannot be started", &e);
            self.kill_all();
            return Exit::Os;
        }
        loop {
            match self.turn() {
                Ok(None) => {}
                Ok(Some(exit)) => return exit,
                Err(e) => {
                    self.failed("the system refuses to wait", &e);
                    self.kill_all();
                    return Exit::Os;
                }
            }
        }
    }

    /// One turn: what is due, what is to be sent, one wait, what is ready.
    fn turn(&mut self) -> io::Result<Option<Exit>> {
        self.due(Instant::now());
        self.commit(Instant::now());
        self.send(Instant::now());
        if let Some(exit) = self.stopping
            && self.worker.is_none()
            && self.children.is_empty()
        {
            strays::sweep_all(&self.log);
            self.log.info("broker", "stopped", &[("exit_code", exit.code().into())]);
            return Ok(Some(exit));
        }
        for (token, ready) in self.wait()? {
            if ready.readable
                && let Some(exit) = self.handle(token, Instant::now())?
            {
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    fn due(&mut self, now: Instant) {
        self.notify.tick(now);
        if let Some(worker) = &mut self.worker {
            worker.tick(now, &self.log);
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            match self.start_worker(now) {
                Ok(()) => self.children.renew(now),
                Err(e) => {
                    self.failed("the worker cannot be started", &e);
                    self.plan_worker(now);
                }
            }
        }
        self.children.tick(now, &mut self.notices);
        if self.resolver.replaced(now) && self.stopping.is_none() && !self.retiring {
            self.log.info("broker", "the files of the resolver were replaced; so is the worker", &[]);
            if let Some(worker) = &mut self.worker {
                self.retiring = true;
                worker.drain(&self.config.stop, None, now, &self.log);
            }
        }
    }

    fn send(&mut self, now: Instant) {
        let Some(worker) = &mut self.worker else { return };
        if worker.is_ready() {
            for notice in self.notices.drain(..) {
                worker.tell(notice, &self.log);
            }
        }
        worker.flush(now);
    }

    fn wait(&self) -> io::Result<Vec<(Token, Ready)>> {
        let mut tokens = vec![Token::Signal];
        let mut interests = vec![Interest::read(self.signals.as_fd())];
        let mut add = |token, interest| {
            tokens.push(token);
            interests.push(interest);
        };
        let mut deadlines = vec![
            self.notify.deadline(),
            self.restart_at,
            self.children.deadline(),
            Some(self.resolver.deadline()),
            self.audit.deadline(Instant::now()),
        ];
        if let Some(worker) = &self.worker {
            if let Some((socket, full)) = worker.socket() {
                add(Token::Socket, Interest::read(socket).or_write(full));
            }
            if let Some(stderr) = worker.stderr.fd() {
                add(Token::WorkerStderr, Interest::read(stderr));
            }
            add(Token::WorkerExit, Interest::read(worker.process.exit_fd()));
            deadlines.push(worker.deadline());
        }
        for (fd, id, part) in self.children.interests() {
            add(Token::Child(id, part), Interest::read(fd));
        }
        let next = deadlines.into_iter().flatten().min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        Ok(tokens.into_iter().zip(poll::wait(&interests, timeout)?).collect())
    }

    fn handle(&mut self, token: Token, now: Instant) -> io::Result<Option<Exit>> {
        match token {
            Token::Signal => {
                while let Some(signal) = self.signals.next()? {
                    match signal {
                        Signal::Stop if self.stopping.is_some() => return Ok(Some(self.stop_now())),
                        Signal::Stop => self.stop(now),
                        Signal::Reload => {
                            self.log.warn(
                                "broker",
                                "reload is not supported; restart the service instead",
                                &[],
                            );
                        }
                        // Ends of our own processes are seen through their own descriptors.
                        Signal::Child => _ = strays::sweep(&self.own_pids(), &self.log),
                    }
                }
            }
            Token::Socket => _ = self.listen(now),
            Token::WorkerStderr => {
                if let Some(worker) = &mut self.worker {
                    worker.stderr.turn(&self.log, now);
                }
            }
            Token::WorkerExit => {
                // What it said before it ended still counts.
                while self.listen(now) {}
                self.bury_worker(now);
            }
            Token::Child(id, part) => self.children.ready(id, part, now, &mut self.notices),
        }
        Ok(None)
    }

    /// `false`: nothing more is there.
    fn listen(&mut self, now: Instant) -> bool {
        let Some(worker) = &mut self.worker else { return false };
        let mut steps = Vec::new();
        let more = worker.listen(&mut self.window, now, &self.log, &mut steps);
        for step in steps {
            match step {
                Step::Nothing => {}
                Step::Verdict { call, verdict, ask } => self.decided(call, verdict, *ask),
                Step::Done { held, outcome, answer } => self.ended(&held, outcome, answer, now),
                Step::Ready { landlock, filters } => {
                    let fields = [("landlock_abi", landlock.into()), ("seccomp_filters", filters.into())];
                    self.log.info("confinement", "worker confined", &fields);
                    self.record_confinement("worker", landlock, filters);
                    if !std::mem::replace(&mut self.started, true) {
                        self.log.info("broker", "🟢 tunnel-client started", &[]);
                    }
                }
                Step::PollOk => self.polled(None),
                Step::PollFailing(reason) => self.polled(Some(&reason)),
                Step::Spawn { index, era, seen } => self.children.want(index, era, seen, now),
                Step::ChildLost { index, generation } => self.children.lost(Id { index, generation }, now),
                Step::Drained { unfinished } => {
                    if unfinished > 0 {
                        let fields = [("unfinished", unfinished.into())];
                        self.log.warn("broker", "calls were given up at the end of drain_timeout", &fields);
                    }
                    self.children.stop_all(now);
                }
            }
        }
        more
    }

    /// The first stop signal: what is accepted is finished.
    fn stop(&mut self, now: Instant) {
        self.log.info("broker", "stopping", &[]);
        self.begin_stop("draining", Exit::Ok);
        match &mut self.worker {
            Some(worker) => {
                worker.drain(&self.config.stop, Some(self.config.stop.poll_grace), now, &self.log)
            }
            None => self.children.stop_all(now),
        }
    }

    pub(super) fn begin_stop(&mut self, status: &str, exit: Exit) {
        self.stopping = Some(exit);
        self.restart_at = None;
        self.notify.stopping();
        self.notify.status(status);
    }

    pub(super) fn failed(&self, what: &'static str, error: &io::Error) {
        self.log.error("broker", what, &[("error", error.to_string().into())]);
    }

    /// The second one: nothing is waited for. A failure only when something was left to wait for.
    fn stop_now(&mut self) -> Exit {
        let (held, drained) = self.worker.as_ref().map_or((0, true), |w| (w.held().len(), w.is_drained()));
        let finished = drained && held == 0 && self.children.is_empty();
        self.log.warn("broker", "second stop signal; ending at once", &[("calls_held", held.into())]);
        self.kill_all();
        self.stopping.filter(|_| finished).unwrap_or(Exit::TempFail)
    }

    fn kill_all(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.kill();
        }
        self.children.kill_all();
    }

    fn own_pids(&self) -> Vec<u32> {
        self.worker.iter().map(|w| w.process.pid()).chain(self.children.pids()).collect()
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
