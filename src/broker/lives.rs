//! The lives of workers: started, let go, buried, followed by another. Broker only.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Instant;

use super::child::how_ended;
use super::handing::WorkerId;
use super::service::Broker;
use super::supervise::{self, Worker};
use crate::audit::event::Event;
use crate::config::confinement::OnViolation;
use crate::config::types;
use crate::exit::Exit;

/// The signal of a seccomp filter that kills.
const SIGSYS: i32 = 31;

impl Broker {
    /// Starts a worker whose commands are in these slots, with another configuration than the one in force or with that.
    pub(super) fn launch_worker(
        &mut self,
        other: Option<&types::Config>,
        slots: Vec<u8>,
        now: Instant,
    ) -> io::Result<WorkerId> {
        let id = WorkerId(self.last_worker.0.saturating_add(1));
        let config = other.unwrap_or(&self.config);
        let listener = self.front.listener().map(|fd| fd.try_clone_to_owned()).transpose()?;
        let worker = Worker::start(&self.images, config, &self.instance_id, (id, slots, listener), now)?;
        self.last_worker = id;
        let pid = worker.process.pid();
        self.log.info("broker", "worker started", &[("pid", pid.into())]);
        self.audit.push(|| Event::ChildStart { role: "worker", channel: None, pid, program_sha256: None });
        self.workers.push(worker);
        Ok(id)
    }

    /// Starts the worker that serves with the configuration in force.
    pub(super) fn start_worker(&mut self, now: Instant) -> io::Result<()> {
        self.current = Some(self.launch_worker(None, self.slots.clone(), now)?);
        Ok(())
    }

    /// Lets the worker that serves use the network as soon as it may, and gives it what dead ones held.
    pub(super) fn let_go(&mut self, now: Instant) {
        let Some(worker) = self.current.and_then(|id| self.workers.iter_mut().find(|w| w.id == id)) else {
            return;
        };
        if worker.is_ready() {
            let first = !std::mem::replace(&mut self.started, true);
            worker.go(first, &self.log);
            if first {
                self.log.info("broker", "🟢 tunnel-client started", &[]);
            }
        }
        if worker.serves() && !self.orphans.is_empty() {
            worker.inherit(&std::mem::take(&mut self.orphans), now, &self.log);
        }
    }

    pub(super) fn plan_worker(&mut self, now: Instant) {
        let pause = self.worker_budget.next(now);
        self.truth.worker_restarts = self.truth.worker_restarts.saturating_add(1);
        self.truth.spent = pause.spent;
        self.restart_at = Some(now + pause.wait);
        let fields = [("retry_in_ms", pause.wait.as_millis().into())];
        if pause.spent {
            self.log.error("broker", "the worker dies again and again; it is started slowly", &fields);
        } else {
            self.log.info("broker", "the worker will be replaced", &fields);
        }
    }

    /// What a human should look at.
    fn violation(&mut self, what: &'static str, now: Instant) {
        self.log.error("confinement", what, &[]);
        self.record_violation(what);
        if self.config.confinement.on_violation == OnViolation::Stop && self.stopping.is_none() {
            self.begin_stop(&format!("stopped: {what}"), Exit::Violation);
            self.drain_all(now);
        }
    }

    /// Takes a worker's status and decides what follows.
    pub(super) fn bury_worker(&mut self, id: WorkerId, now: Instant) {
        let Some(at) = self.workers.iter().position(|w| w.id == id) else { return };
        let Some(status) = self.workers.get_mut(at).and_then(|w| w.process.reap()) else { return };
        let mut worker = self.workers.remove(at);
        worker.stderr.close(&self.log, now);
        self.say_end(&worker, status);
        self.record_exit("worker", worker.process.pid(), status);
        if let Some(breach) = worker.breach() {
            self.record_violation(breach);
        }
        for held in worker.held() {
            self.window.abandon(held.request_id(), now);
            if let Some(call) = held.record() {
                let (call, request_id) = (call.to_string(), held.request_id().to_string());
                self.audit.push(|| Event::CallInDoubt { call, request_id });
            }
        }
        self.orphans.extend(worker.into_orphans());
        self.children.abandon(id, now);
        if self.is_incoming(id) {
            // It has not heard a byte of the network: whatever ended it, nothing has been attempted.
            self.refuse_reload("the new worker does not become ready; its log lines say why", now);
        } else if status.signal() == Some(SIGSYS) {
            self.violation("the worker was killed by its own filter", now);
        } else if status.code() == Some(Exit::Violation.code().into()) {
            self.violation("the worker found that its confinement does not hold", now);
        }
        if self.current == Some(id) {
            self.current = None;
            self.gone.clear();
            // A new worker that is on its way takes the place.
            if self.stopping.is_none() && self.incoming.is_none() {
                self.plan_worker(now);
            }
        } else if self.current.is_some() {
            self.children.renew(&self.slots, now);
        }
        self.let_slots_go(now);
        if self.stopping.is_some() && self.workers.iter().all(Worker::is_drained) {
            self.children.stop_all(now);
        }
    }

    /// What is known of its end.
    fn say_end(&self, worker: &Worker, status: ExitStatus) {
        let mut fields = vec![how_ended(status), ("calls_held", worker.held().len().into())];
        if worker.held().len() > 0 {
            fields.push(("request_ids", supervise::some_ids(worker).into()));
        }
        let well = worker.is_drained() && status.success();
        if worker.is_discarded() {
            self.log.info("broker", "a worker that was not needed ended", &fields);
        } else if well {
            self.log.info("broker", "worker ended", &fields);
        } else {
            self.log.error("broker", "worker died", &fields);
        }
    }

    /// Ends the servers that no worker needs any more.
    pub(super) fn let_slots_go(&mut self, now: Instant) {
        let mut needed: BTreeSet<u8> = BTreeSet::new();
        needed.extend(&self.slots);
        needed.extend(self.workers.iter().flat_map(Worker::slots));
        needed.extend(self.incoming.iter().flat_map(|incoming| &incoming.slots));
        self.children.keep_only(&needed, now);
    }
}
