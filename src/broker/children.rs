//! The stdio MCP servers: started, announced to the worker, started again, stopped. Broker only.
//!
//! For each command there are at most two *slots*, one for each MCP era; a slot is a child, or the plan to start one.
//! The child started in advance belongs to no era until the worker asks for another one: then it must have taken the
//! other era. Bytes of the MCP protocol never pass through here: the worker gets the pipes.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::child::{Child, Id, Part, Pipes, how_ended};
use super::record;
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

/// What the worker is to be told.
#[derive(Debug)]
pub enum Notice {
    /// A child runs.
    Started(Id, Option<Era>, Pipes),
    /// A child ended or could not be started; the next one comes after this time.
    Gone(Id, Duration),
}

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
struct Plan {
    index: u8,
    era: Option<Era>,
    at: Instant,
}

/// All children of all commands.
#[derive(Debug)]
pub struct Children {
    images: Images,
    require: u8,
    commands: Vec<Command>,
    budgets: Vec<Budget>,
    generations: Vec<u32>,
    live: Vec<Child>,
    planned: Vec<Plan>,
    /// There is an audit log, and what it is to hear.
    recorded: bool,
    happened: Vec<Event>,
    log: Log,
}

impl Children {
    /// None yet. Commands are counted in one byte; the configuration sees to that.
    #[must_use]
    pub fn new(images: Images, require: u8, commands: Vec<Command>, restart: &Restart, log: Log) -> Self {
        let budgets = commands.iter().map(|_| Budget::new(restart)).collect();
        let generations = vec![0; commands.len()];
        let (live, planned) = (Vec::new(), Vec::new());
        let (recorded, happened) = (false, Vec::new());
        Self { images, require, commands, budgets, generations, live, planned, recorded, happened, log }
    }

    /// From here on, what happens is kept for the audit log.
    pub fn record(&mut self) {
        self.recorded = true;
    }

    /// What happened since it was last asked for.
    pub fn happened(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.happened)
    }

    /// Starts one child of each command and waits until all of them run.
    ///
    /// # Errors
    /// When one cannot be started: better no service than one that lacks a server from the start.
    pub fn begin(&mut self, now: Instant) -> Result<Vec<Notice>, StartError> {
        let mut notices = Vec::new();
        for index in self.indices() {
            let id = self.start(index, None, now).map_err(|e| self.start_error(index, e))?;
            let Some(at) = self.find(id) else { continue };
            if let Some(child) = self.live.get(at) {
                child.wait();
            }
            self.settle(at, &mut notices).map_err(|e| self.start_error(index, e))?;
        }
        Ok(notices)
    }

    /// A new worker is there: every command gets a child, as at the start.
    pub fn renew(&mut self, now: Instant) {
        for index in self.indices() {
            let served = self.live.iter().any(|c| c.id.index == index && c.comes_again());
            if !served && !self.planned.iter().any(|p| p.index == index) {
                self.planned.push(Plan { index, era: None, at: now });
            }
        }
    }

    /// The worker wants a child; `seen` is the last start that it knew of. Without effect when there is one or will
    /// be.
    pub fn want(&mut self, index: u8, wanted: Era, seen: u32, now: Instant) {
        let children = self.live.iter_mut().filter(|c| c.id.index == index && c.comes_again());
        let children = children.map(|c| {
            // What the worker has given up it does not have.
            let given = (c.was_announced() && !c.is_stopping()).then_some(c.id.generation);
            (&mut c.era, given)
        });
        let plans = self.planned.iter_mut().filter(|p| p.index == index).map(|p| (&mut p.era, None));
        let mut taken_by = None;
        for (era, given) in children.chain(plans) {
            match (*era, given) {
                (Some(era), _) if era == wanted => return,
                (Some(_), _) => {}
                (None, Some(generation)) if generation <= seen => taken_by = Some(era),
                // The wish crossed it on the way: the worker takes it, and asks again for what it still lacks.
                (None, Some(_)) => return,
                (None, None) => {
                    // Nobody has it yet, so it can still become what is wanted.
                    *era = Some(wanted);
                    return;
                }
            }
        }
        if let Some(era) = taken_by {
            *era = Some(other(wanted));
        }
        self.planned.push(Plan { index, era: Some(wanted), at: now });
    }

    /// The worker has given a child up and closed its pipes.
    pub fn lost(&mut self, id: Id, now: Instant) {
        if let Some(child) = self.find(id).and_then(|at| self.live.get_mut(at)) {
            child.stop(now + ASK_AFTER, now + FORCE_AFTER, true);
        }
    }

    /// The worker is dead: what the children were doing is lost, and their pipes are closed.
    pub fn abandon(&mut self, now: Instant) {
        self.stop(now, now + FORCE_AFTER);
    }

    /// The service stops and the worker has finished.
    pub fn stop_all(&mut self, now: Instant) {
        self.stop(now + ASK_AFTER_AT_STOP, now + FORCE_AFTER);
    }

    fn stop(&mut self, ask: Instant, force: Instant) {
        self.planned.clear();
        for child in &mut self.live {
            child.stop(ask, force, false);
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
    pub fn tick(&mut self, now: Instant, notices: &mut Vec<Notice>) {
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
                let generation = self.generations.get(usize::from(index)).copied().unwrap_or_default();
                self.again(Id { index, generation }, era, now, notices);
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
    pub fn ready(&mut self, id: Id, part: Part, now: Instant, notices: &mut Vec<Notice>) {
        let Some(at) = self.find(id) else { return };
        match part {
            Part::Status => {
                if let Err(e) = self.settle(at, notices) {
                    self.start_error(id.index, e).log(&self.log);
                }
            }
            Part::Stderr => {
                if let Some(child) = self.live.get_mut(at) {
                    child.stderr.turn(&self.log, now);
                }
            }
            Part::Exit => self.ended(at, now, notices),
        }
    }

    fn ended(&mut self, at: usize, now: Instant, notices: &mut Vec<Notice>) {
        // It may have ended in the same turn in which launch reported.
        if let Some(id) = self.live.get(at).map(|c| c.id) {
            self.ready(id, Part::Status, now, notices);
        }
        let Some(status) = self.live.get_mut(at).and_then(|c| c.process.reap()) else { return };
        let mut child = self.live.swap_remove(at);
        child.stderr.close(&self.log, now);
        let mut fields = self.describe(child.id);
        fields.push(how_ended(status));
        let command = self.commands.get(usize::from(child.id.index)).filter(|_| self.recorded);
        self.happened.extend(command.map(|c| record::ended(c, child.process.pid(), status)));
        if child.is_stopping() {
            self.log.info("mcpclient", "mcp child exited", &fields);
        } else {
            self.log.warn("mcpclient", "mcp child exited", &fields);
        }
        if child.comes_again() {
            self.again(child.id, child.era, now, notices);
        }
    }

    /// Plans the next start and lets the worker know.
    fn again(&mut self, id: Id, era: Option<Era>, now: Instant, notices: &mut Vec<Notice>) {
        let Some(budget) = self.budgets.get_mut(usize::from(id.index)) else { return };
        let pause = budget.next(now);
        if pause.spent {
            let mut fields = self.describe(id);
            fields.push(("retry_in_ms", pause.wait.as_millis().into()));
            self.log.error("mcpclient", "mcp child ends again and again; it is started slowly", &fields);
        }
        self.planned.push(Plan { index: id.index, era, at: now + pause.wait });
        notices.push(Notice::Gone(id, pause.wait));
    }

    /// Starts launch. The child is announced when launch has become the server.
    fn start(&mut self, index: u8, era: Option<Era>, now: Instant) -> io::Result<Id> {
        let at = usize::from(index);
        let (Some(command), Some(generation)) = (self.commands.get(at), self.generations.get_mut(at)) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        *generation = generation.saturating_add(1);
        let id = Id { index, generation: *generation };
        let launched = self.images.launch(command, self.require)?;
        self.live.push(Child::new(id, era, launched, command.channel.as_str(), now));
        Ok(id)
    }

    fn settle(&mut self, at: usize, notices: &mut Vec<Notice>) -> io::Result<()> {
        let Some(child) = self.live.get_mut(at) else { return Ok(()) };
        let Some(pipes) = child.settle()? else { return Ok(()) };
        notices.push(Notice::Started(child.id, child.era, pipes));
        let (id, pid) = (child.id, child.process.pid());
        let mut fields = self.describe(id);
        fields.push(("pid", pid.into()));
        self.log.info("mcpclient", "mcp child started", &fields);
        let command = self.commands.get(usize::from(id.index)).filter(|_| self.recorded);
        self.happened.extend(command.map(|c| record::started(c, pid)));
        Ok(())
    }

    fn indices(&self) -> impl Iterator<Item = u8> + use<> {
        (0..=u8::MAX).take(self.commands.len())
    }

    fn find(&self, id: Id) -> Option<usize> {
        self.live.iter().position(|c| c.id == id)
    }

    /// A command whose child is being stopped waits for its end: two servers on the same files may not get along.
    fn is_blocked(&self, plan: &Plan) -> bool {
        self.live.iter().any(|c| c.id.index == plan.index && c.is_stopping())
    }

    fn describe(&self, id: Id) -> Vec<(&'static str, Value<'static>)> {
        let channel = self.commands.get(usize::from(id.index)).map(|c| c.channel.to_string());
        vec![("channel", channel.unwrap_or_default().into()), ("generation", id.generation.into())]
    }

    fn start_error(&self, index: u8, error: io::Error) -> StartError {
        let command = self.commands.get(usize::from(index));
        let channel = command.map(|c| c.channel.to_string()).unwrap_or_default();
        let program = command.and_then(|c| c.argv.first()).cloned().unwrap_or_default();
        StartError { channel, program, error }
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

const fn other(era: Era) -> Era {
    match era {
        Era::Session => Era::Stateless,
        Era::Stateless => Era::Session,
    }
}
