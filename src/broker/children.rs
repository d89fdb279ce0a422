//! The stdio MCP servers: started, started again, stopped. Broker only.
//!
//! A *slot* is a command for as long as some worker's configuration has it, unchanged; workers number their commands
//! differently, slots stay. Each slot has at most two children, one for each MCP era, or plans to start them. The
//! child started in advance belongs to no era until a worker asks for another one: then it must have taken the other
//! era. Which worker uses a child is decided in `handing`. Bytes of the MCP protocol never pass through here.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::child::{Child, Id, Part, how_ended};
use super::handing::WorkerId;
use super::record;
use super::slots::Slots;
use super::spawn::Images;
use crate::audit::event::Event;
use crate::config::types::{Command, Restart};
use crate::ipc::msg::Era;
use crate::log::{Log, Value};
use crate::sys::process::Kill;

/// From the end of its stdin to SIGTERM, for a child that is stopped while the service goes on.
const ASK_AFTER: Duration = Duration::from_secs(2);
/// The same when the service stops: nothing is in progress any more, and somebody waits.
const ASK_AFTER_AT_STOP: Duration = Duration::from_millis(500);
/// From the end of its stdin to SIGKILL.
const FORCE_AFTER: Duration = Duration::from_secs(5);

/// For the workers: a child ended or could not be started, and the next one comes after this time.
#[derive(Debug)]
pub struct Gone(pub Id, pub Duration);

/// A child cannot be started.
#[derive(Debug)]
pub struct StartError {
    /// On which channel it should have answered.
    pub channel: String,
    /// The program.
    pub program: String,
    /// What the system said.
    pub error: io::Error,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) index: u8,
    pub(super) era: Option<Era>,
    pub(super) at: Instant,
}

/// All children of all commands.
#[derive(Debug)]
pub struct Children {
    images: Images,
    require: u8,
    pub(super) slots: Slots,
    pub(super) live: Vec<Child>,
    pub(super) planned: Vec<Plan>,
    /// There is an audit log, and what it is to hear.
    recorded: bool,
    happened: Vec<Event>,
    pub(super) log: Log,
}

impl Children {
    /// None yet.
    #[must_use]
    pub fn new(images: Images, require: u8, log: Log) -> Self {
        let (slots, live, planned) = (Slots::default(), Vec::new(), Vec::new());
        let (recorded, happened) = (false, Vec::new());
        Self { images, require, slots, live, planned, recorded, happened, log }
    }

    /// From here on, what happens is kept for the audit log.
    pub fn record(&mut self) {
        self.recorded = true;
    }

    /// What happened since it was last asked for.
    pub fn happened(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.happened)
    }

    /// The slot of a command that is in use, unchanged.
    #[must_use]
    pub fn slot_of(&self, wanted: &Command) -> Option<u8> {
        self.slots.find(wanted)
    }

    /// A slot for a new command, which is started as `command`. `None` when all are taken.
    pub fn add(&mut self, wanted: &Command, command: Command, restart: &Restart) -> Option<u8> {
        let mut live = BTreeSet::new();
        live.extend(self.live.iter().map(|child| child.id.index));
        self.slots.add(wanted, command, restart, &live)
    }

    /// Only these slots are needed any more: the children of the others are ended.
    pub fn keep_only(&mut self, needed: &BTreeSet<u8>, now: Instant) {
        self.slots.keep_only(needed);
        self.planned.retain(|plan| needed.contains(&plan.index));
        for child in self.live.iter_mut().filter(|child| !needed.contains(&child.id.index)) {
            child.stop(now + ASK_AFTER, now + FORCE_AFTER, false);
        }
    }

    /// Starts one child of each command and waits until all of them run.
    ///
    /// # Errors
    /// When one cannot be started: better no service than one that lacks a server from the start.
    pub fn begin(&mut self, slots: &[u8], now: Instant) -> Result<(), StartError> {
        for index in slots.iter().copied() {
            let id = self.start(index, None, now).map_err(|e| self.start_error(index, e))?;
            let Some(at) = self.find(id) else { continue };
            if let Some(child) = self.live.get(at) {
                child.wait();
            }
            self.settle(at).map_err(|e| self.start_error(index, e))?;
        }
        Ok(())
    }

    /// Starts one child of a command without waiting for it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn begin_one(&mut self, index: u8, now: Instant) -> Result<(), StartError> {
        self.start(index, None, now).map(drop).map_err(|e| self.start_error(index, e))
    }

    /// Whether a child of the slot runs; `None` while that is not known, because one has been started.
    #[must_use]
    pub fn runs(&self, index: u8) -> Option<bool> {
        let mut all = self.live.iter().filter(|c| c.id.index == index);
        match all.next() {
            Some(child) if child.serves() => Some(true),
            Some(child) if child.is_starting() => None,
            _ => Some(false),
        }
    }

    /// Every one of these commands gets a child, as at the start.
    pub fn renew(&mut self, slots: &[u8], now: Instant) {
        for index in slots.iter().copied() {
            let served = self.live.iter().any(|c| c.id.index == index && c.comes_again());
            if !served && !self.planned.iter().any(|p| p.index == index) {
                self.planned.push(Plan { index, era: None, at: now });
            }
        }
    }

    /// A worker has given up a child that it had.
    pub fn lost(&mut self, id: Id, by: WorkerId, now: Instant) {
        let child = self.find(id).and_then(|at| self.live.get_mut(at));
        if let Some(child) = child.filter(|child| child.holder == Some(by)) {
            child.stop(now + ASK_AFTER, now + FORCE_AFTER, true);
        }
    }

    /// A worker is dead: what the children that it had were doing is lost.
    pub fn abandon(&mut self, holder: WorkerId, now: Instant) {
        for child in &mut self.live {
            child.wanted_by.retain(|by| *by != holder);
            if child.holder == Some(holder) {
                child.stop(now, now + FORCE_AFTER, false);
            }
        }
    }

    /// The service stops and the workers have finished.
    pub fn stop_all(&mut self, now: Instant) {
        self.planned.clear();
        for child in &mut self.live {
            child.stop(now + ASK_AFTER_AT_STOP, now + FORCE_AFTER, false);
        }
    }

    /// The service ends at once.
    pub fn kill_all(&mut self) {
        self.planned.clear();
        for child in &self.live {
            child.process.kill(Kill::Force);
        }
    }

    /// Whether no process is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// The processes there are.
    pub fn pids(&self) -> impl Iterator<Item = u32> {
        self.live.iter().map(|c| c.process.pid())
    }

    /// Does what is due: starts, SIGTERMs, SIGKILLs.
    pub fn tick(&mut self, now: Instant, gone: &mut Vec<Gone>) {
        for child in &mut self.live {
            child.tick(now, &self.log);
        }
        let planned = std::mem::take(&mut self.planned);
        let (due, later) = planned.into_iter().partition(|p| p.at <= now && !self.is_blocked(p));
        self.planned = later;
        let due: Vec<Plan> = due;
        for Plan { index, era, .. } in due {
            if let Err(e) = self.start(index, era, now) {
                self.start_error(index, e).log(&self.log);
                let generation = self.slots.get(index).map_or(0, |slot| slot.generation);
                self.again(Id { index, generation }, era, now, gone);
            }
        }
    }

    /// When [`Children::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let stops = self.live.iter().filter_map(Child::deadline);
        let starts = self.planned.iter().filter(|p| !self.is_blocked(p)).map(|p| p.at);
        stops.chain(starts).min()
    }

    /// What to wait for, and what it means.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Id, Part)> {
        self.live.iter().flat_map(Child::interests)
    }

    /// One of them is ready.
    pub fn ready(&mut self, id: Id, part: Part, now: Instant, gone: &mut Vec<Gone>) {
        let Some(at) = self.find(id) else { return };
        match part {
            Part::Status => {
                if let Err(e) = self.settle(at) {
                    self.start_error(id.index, e).log(&self.log);
                }
            }
            Part::Stderr => {
                if let Some(child) = self.live.get_mut(at) {
                    child.stderr.turn(&self.log, now);
                }
            }
            Part::Exit => self.ended(at, now, gone),
        }
    }

    fn ended(&mut self, at: usize, now: Instant, gone: &mut Vec<Gone>) {
        // It may have ended in the same turn in which launch reported.
        if let Some(id) = self.live.get(at).map(|c| c.id) {
            self.ready(id, Part::Status, now, gone);
        }
        let Some(status) = self.live.get_mut(at).and_then(|c| c.process.reap()) else { return };
        let mut child = self.live.swap_remove(at);
        child.stderr.close(&self.log, now);
        let mut fields = self.describe(child.id);
        fields.push(how_ended(status));
        if let Some(slot) = self.slots.get(child.id.index).filter(|_| self.recorded) {
            self.happened.push(record::ended(&slot.command, child.process.pid(), status));
        }
        if child.is_stopping() {
            self.log.info("mcpclient", "mcp child exited", &fields);
        } else {
            self.log.warn("mcpclient", "mcp child exited", &fields);
        }
        if child.comes_again() {
            self.again(child.id, child.era, now, gone);
        }
    }

    /// Plans the next start and lets the workers know.
    fn again(&mut self, id: Id, era: Option<Era>, now: Instant, gone: &mut Vec<Gone>) {
        let Some(slot) = self.slots.get_mut(id.index).filter(|slot| slot.used) else { return };
        let pause = slot.budget.next(now);
        slot.spent = pause.spent;
        slot.restarts = slot.restarts.saturating_add(1);
        if pause.spent {
            let mut fields = self.describe(id);
            fields.push(("retry_in_ms", pause.wait.as_millis().into()));
            self.log.error("mcpclient", "mcp child ends again and again; it is started slowly", &fields);
        }
        self.planned.push(Plan { index: id.index, era, at: now + pause.wait });
        gone.push(Gone(id, pause.wait));
    }

    /// Starts launch. The child is announced when launch has become the server.
    fn start(&mut self, index: u8, era: Option<Era>, now: Instant) -> io::Result<Id> {
        let slot = self.slots.get_mut(index).ok_or(io::ErrorKind::NotFound)?;
        slot.generation = slot.generation.saturating_add(1);
        let id = Id { index, generation: slot.generation };
        let launched = self.images.launch(&slot.command, self.require)?;
        self.live.push(Child::new(id, era, launched, slot.command.channel.as_str(), now));
        Ok(id)
    }

    fn settle(&mut self, at: usize) -> io::Result<()> {
        let Some(child) = self.live.get_mut(at) else { return Ok(()) };
        if !child.settle()? {
            return Ok(());
        }
        let (id, pid) = (child.id, child.process.pid());
        let mut fields = self.describe(id);
        fields.push(("pid", pid.into()));
        self.log.info("mcpclient", "mcp child started", &fields);
        if let Some(slot) = self.slots.get(id.index).filter(|_| self.recorded) {
            self.happened.push(record::started(&slot.command, pid));
        }
        Ok(())
    }

    pub(super) fn find(&self, id: Id) -> Option<usize> {
        self.live.iter().position(|c| c.id == id)
    }

    /// A command whose child is being stopped waits for its end: two servers on the same files may not get along.
    fn is_blocked(&self, plan: &Plan) -> bool {
        self.live.iter().any(|c| c.id.index == plan.index && c.is_stopping())
    }

    fn describe(&self, id: Id) -> Vec<(&'static str, Value<'static>)> {
        let channel = self.slots.get(id.index).map(|slot| slot.command.channel.to_string());
        vec![("channel", channel.unwrap_or_default().into()), ("generation", id.generation.into())]
    }

    fn start_error(&self, index: u8, error: io::Error) -> StartError {
        let command = self.slots.get(index).map(|slot| &slot.command);
        let channel = command.map(|c| c.channel.to_string()).unwrap_or_default();
        let program = command.and_then(|c| c.argv.first()).cloned().unwrap_or_default();
        StartError { channel, program, error }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { channel, program, error } = self;
        write!(f, "the mcp command {program} of channel {channel} cannot be started: {error}")
    }
}

impl StartError {
    /// The line that an operator finds.
    pub fn log(&self, log: &Log) {
        let fields = [
            ("channel", (&self.channel).into()),
            ("command", (&self.program).into()),
            ("error", self.error.to_string().into()),
        ];
        log.error("mcpclient", "mcp command cannot be started", &fields);
    }
}
