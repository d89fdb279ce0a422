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
use super::children::{Children, Gone};
use super::expiry::Expiry;
use super::files::Files;
use super::front::Front;
use super::handing::WorkerId;
use super::notify::Notify;
use super::permit::Held;
use super::pulse::Watch;
use super::reload::{Incoming, Renewal};
use super::resolver::Resolver;
use super::spawn::Images;
use super::strays;
use super::supervise::Worker;
use super::truth::Truth;
use super::window::Window;

/// What a ready descriptor means.
#[derive(Clone, Copy, Debug)]
enum Token {
    Signal,
    Socket(WorkerId),
    WorkerStderr(WorkerId),
    WorkerExit(WorkerId),
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
    /// All that run: one serves, one may be getting ready to follow it, others finish.
    pub(super) workers: Vec<Worker>,
    pub(super) last_worker: WorkerId,
    /// The one that serves.
    pub(super) current: Option<WorkerId>,
    /// The one that gets ready.
    pub(super) incoming: Option<Incoming>,
    pub(super) worker_budget: Budget,
    /// When the next worker is started, while there is none.
    pub(super) restart_at: Option<Instant>,
    /// What the next worker has to answer with a failure.
    pub(super) orphans: Vec<Held>,
    pub(super) children: Children,
    /// The slots of the commands of the configuration in force.
    pub(super) slots: Vec<u8>,
    /// For the workers, as soon as one serves.
    pub(super) gone: Vec<Gone>,
    pub(super) renewal: Renewal,
    pub(super) files: Files,
    pub(super) resolver: Resolver,
    pub(super) expiry: Expiry,
    pub(super) audit: Audit,
    pub(super) watch: Watch,
    pub(super) front: Front,
    pub(super) truth: Truth,
    /// The digest of the call policy in force, or `none`.
    pub(super) policy: String,
    /// A reload was asked for that has to wait.
    pub(super) reload_again: bool,
    pub(super) started: bool,
    /// Set when the service stops: the code to end with.
    pub(super) stopping: Option<Exit>,
}

impl Broker {
    /// Nothing is started yet; what will be is confined, because this process is.
    pub fn new(
        sealed: &Sealed,
        config: Config,
        instance_id: String,
        renewal: Renewal,
        (images, signals, notify, front): (Images, Signals, Notify, Front),
        log: Log,
    ) -> Self {
        let children = Children::new(images.clone(), config.confinement.require, log.clone());
        let now = Instant::now();
        let mut broker = Self {
            worker_budget: Budget::new(&config.restart),
            children,
            files: Files::of(&config, now),
            expiry: Expiry::new(&config.worker, now),
            config,
            instance_id,
            images,
            signals,
            notify,
            log,
            window: Window::default(),
            workers: Vec::new(),
            last_worker: WorkerId::default(),
            current: None,
            incoming: None,
            restart_at: None,
            orphans: Vec::new(),
            slots: Vec::new(),
            gone: Vec::new(),
            renewal,
            resolver: Resolver::new(now),
            audit: Audit::default(),
            watch: Watch::new(now),
            front,
            truth: Truth::new(sealed.facts()),
            policy: String::new(),
            reload_again: false,
            started: false,
            stopping: None,
        };
        broker.learn_configuration();
        broker
    }

    /// Starts everything and serves until a signal or a violation ends it.
    pub fn serve(mut self) -> Exit {
        let exit = self.live();
        self.audit.stop(exit.code(), Instant::now(), &self.log);
        super::remove(self.renewal.scratch.as_ref(), &self.log);
        exit
    }

    /// Starts everything.
    pub(super) fn begin(&mut self, now: Instant) -> Result<(), Exit> {
        for path in self.files.unreadable() {
            let fields = [
                ("path", path.display().to_string().into()),
                ("remedy", "let the agent's user read it, and restart".into()),
            ];
            self.log.warn("config", "this file cannot be read again, so a reload will be refused", &fields);
        }
        let commands = self.config.commands.clone();
        match self.slots_for(&commands, &self.config.restart.clone()) {
            Ok((slots, _)) => self.slots = slots,
            Err(e) => {
                self.failed("the temporary directories of mcp servers cannot be made", &e);
                return Err(Exit::Os);
            }
        }
        if let Err(e) = self.children.begin(&self.slots, now) {
            e.log(&self.log);
            return Err(Exit::Unavailable);
        }
        self.start_worker(now).map_err(|e| {
            self.failed("the worker cannot be started", &e);
            Exit::Os
        })
    }

    fn live(&mut self) -> Exit {
        self.say_how_it_is();
        if let Err(exit) = self.begin(Instant::now()) {
            self.kill_all();
            return exit;
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
        self.say_how_it_is();
        if let Some(exit) = self.stopping
            && self.workers.is_empty()
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
        self.watch(now);
        for worker in &mut self.workers {
            worker.tick(now, &self.log);
        }
        if self.restart_at.is_some_and(|at| at <= now) {
            self.restart_at = None;
            match self.start_worker(now) {
                Ok(()) => self.children.renew(&self.slots, now),
                Err(e) => {
                    self.failed("the worker cannot be started", &e);
                    self.plan_worker(now);
                }
            }
        }
        self.children.tick(now, &mut self.gone);
        self.look_for_changes(now);
        self.promote(now);
        self.let_go(now);
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
            self.files.deadline(),
            Some(self.resolver.deadline()),
            Some(self.expiry.deadline()),
            self.audit.deadline(Instant::now()),
            Some(self.watch.at()),
        ];
        for worker in &self.workers {
            if let Some((socket, full)) = worker.socket() {
                add(Token::Socket(worker.id), Interest::read(socket).or_write(full));
            }
            if let Some(stderr) = worker.stderr.fd() {
                add(Token::WorkerStderr(worker.id), Interest::read(stderr));
            }
            add(Token::WorkerExit(worker.id), Interest::read(worker.process.exit_fd()));
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
                        Signal::Reload => self.reload("SIGHUP", now),
                        // Ends of our own processes are seen through their own descriptors.
                        Signal::Child => _ = strays::sweep(&self.own_pids(), &self.log),
                    }
                }
            }
            Token::Socket(id) => _ = self.listen(id, now),
            Token::WorkerStderr(id) => {
                if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) {
                    worker.stderr.turn(&self.log, now);
                }
            }
            Token::WorkerExit(id) => {
                // What it said before it ended still counts.
                while self.listen(id, now) {}
                self.bury_worker(id, now);
            }
            Token::Child(id, part) => self.children.ready(id, part, now, &mut self.gone),
        }
        Ok(None)
    }

    pub(super) fn failed(&self, what: &'static str, error: &io::Error) {
        self.log.error("broker", what, &[("error", error.to_string().into())]);
    }

    fn own_pids(&self) -> Vec<u32> {
        self.workers.iter().map(|w| w.process.pid()).chain(self.children.pids()).collect()
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
pub(super) mod tests;
