//! The broker's loop: what is due, what is to be sent, one wait, what is ready. Broker only.
//!
//! Everything that changes the state of the service passes through [`Broker::turn`].

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use crate::config::types::Config;
use crate::exit::Exit;
use crate::log::Log;
use crate::sys::poll::{self, Interest, Ready};
use crate::sys::signals::{Signal, Signals};

use super::budget::Budget;
use super::child::{Id, Part, how_ended};
use super::children::{Children, Notice};
use super::notify::Notify;
use super::permit::{Held, Step};
use super::spawn::Images;
use super::supervise::{self, Worker};
use super::window::Window;

/// The signal of a seccomp filter that kills.
const SIGSYS: i32 = 31;

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
    config: Config,
    instance_id: String,
    images: Images,
    signals: Signals,
    notify: Notify,
    log: Log,
    window: Window,
    worker: Option<Worker>,
    worker_budget: Budget,
    /// When the next worker is started, while there is none.
    restart_at: Option<Instant>,
    /// What the next worker has to answer with a failure.
    orphans: Vec<Held>,
    children: Children,
    /// For the worker, as soon as there is one.
    notices: Vec<Notice>,
    started: bool,
    /// Set when the service stops: the code to end with.
    stopping: Option<Exit>,
}

impl Broker {
    /// Nothing is started yet.
    pub fn new(
        config: Config,
        instance_id: String,
        images: Images,
        signals: Signals,
        notify: Notify,
        log: Log,
    ) -> Self {
        let children = Children::new(images.clone(), config.commands.clone(), &config.restart, log.clone());
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
            started: false,
            stopping: None,
        }
    }

    /// Starts everything and serves until a signal or a violation ends it.
    pub fn serve(mut self) -> Exit {
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
        self.send(Instant::now());
        if let Some(exit) = self.stopping
            && self.worker.is_none()
            && self.children.is_empty()
        {
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
    }

    fn send(&mut self, now: Instant) {
        let Some(worker) = &mut self.worker else { return };
        for notice in self.notices.drain(..) {
            worker.tell(notice, &self.log);
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
        let mut deadlines = vec![self.notify.deadline(), self.restart_at, self.children.deadline()];
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
                        // Ends of processes are seen through their own descriptors.
                        Signal::Child => {}
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
                Step::Nothing | Step::Verdict { .. } | Step::Connect { .. } => {}
                Step::Ready => {
                    if !std::mem::replace(&mut self.started, true) {
                        self.log.info("broker", "🟢 tunnel-client started", &[]);
                    }
                }
                Step::PollOk => self.notify.polling(),
                Step::PollFailing(reason) => self.notify.status(&reason),
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

    fn start_worker(&mut self, now: Instant) -> io::Result<()> {
        let worker = Worker::start(&self.images, &self.config, &self.instance_id, &self.orphans, now)?;
        self.orphans = Vec::new();
        self.log.info("broker", "worker started", &[("pid", worker.process.pid().into())]);
        self.worker = Some(worker);
        Ok(())
    }

    fn plan_worker(&mut self, now: Instant) {
        let pause = self.worker_budget.next(now);
        self.restart_at = Some(now + pause.wait);
        let fields = [("retry_in_ms", pause.wait.as_millis().into())];
        if pause.spent {
            self.log.error("broker", "the worker dies again and again; it is started slowly", &fields);
        } else {
            self.log.info("broker", "the worker will be replaced", &fields);
        }
    }

    /// Takes the worker's status and decides what follows.
    fn bury_worker(&mut self, now: Instant) {
        let Some(status) = self.worker.as_mut().and_then(|w| w.process.reap()) else { return };
        let Some(mut worker) = self.worker.take() else { return };
        worker.stderr.close(&self.log, now);
        self.notices.clear();
        let mut fields = vec![how_ended(status), ("calls_held", worker.held().len().into())];
        if worker.held().len() > 0 {
            fields.push(("request_ids", supervise::some_ids(&worker).into()));
        }
        if worker.is_drained() && status.success() {
            self.log.info("broker", "worker ended", &fields);
        } else {
            self.log.error("broker", "worker died", &fields);
        }
        for held in worker.held() {
            self.window.abandon(held.request_id(), now);
        }
        self.orphans = worker.into_orphans();
        if status.signal() == Some(SIGSYS) {
            self.log.error("broker", "the worker was killed by its own filter; it is not replaced", &[]);
            self.begin_stop("stopped: the worker was killed by its own filter", Exit::Violation);
        }
        if self.stopping.is_some() {
            self.children.stop_all(now);
        } else {
            self.notify.status("the worker died and is being replaced");
            self.children.abandon(now);
            self.plan_worker(now);
        }
    }

    /// The first stop signal: what is accepted is finished.
    fn stop(&mut self, now: Instant) {
        self.log.info("broker", "stopping", &[]);
        self.begin_stop("draining", Exit::Ok);
        match &mut self.worker {
            Some(worker) => worker.drain(&self.config.stop, now, &self.log),
            None => self.children.stop_all(now),
        }
    }

    fn begin_stop(&mut self, status: &str, exit: Exit) {
        self.stopping = Some(exit);
        self.restart_at = None;
        self.notify.stopping();
        self.notify.status(status);
    }

    fn failed(&self, what: &'static str, error: &io::Error) {
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
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
