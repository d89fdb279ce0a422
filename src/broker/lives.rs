//! How one worker follows another: started, buried, replaced. Broker only.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use super::child::how_ended;
use super::service::Broker;
use super::supervise::{self, Worker};
use crate::audit::event::Event;
use crate::config::confinement::OnViolation;
use crate::exit::Exit;

/// The signal of a seccomp filter that kills.
const SIGSYS: i32 = 31;

impl Broker {
    pub(super) fn start_worker(&mut self, now: Instant) -> io::Result<()> {
        let worker = Worker::start(&self.images, &self.config.worker, &self.instance_id, &self.orphans, now)?;
        self.orphans = Vec::new();
        let pid = worker.process.pid();
        self.log.info("broker", "worker started", &[("pid", pid.into())]);
        self.audit.push(|| Event::ChildStart { role: "worker", channel: None, pid, program_sha256: None });
        self.worker = Some(worker);
        Ok(())
    }

    pub(super) fn plan_worker(&mut self, now: Instant) {
        let pause = self.worker_budget.next(now);
        self.restart_at = Some(now + pause.wait);
        let fields = [("retry_in_ms", pause.wait.as_millis().into())];
        if pause.spent {
            self.log.error("broker", "the worker dies again and again; it is started slowly", &fields);
        } else {
            self.log.info("broker", "the worker will be replaced", &fields);
        }
    }

    /// What a human should look at.
    fn violation(&mut self, what: &'static str) {
        self.log.error("confinement", what, &[]);
        self.record_violation(what);
        if self.config.confinement.on_violation == OnViolation::Stop {
            self.begin_stop(&format!("stopped: {what}"), Exit::Violation);
        }
    }

    /// Takes the worker's status and decides what follows.
    pub(super) fn bury_worker(&mut self, now: Instant) {
        let Some(status) = self.worker.as_mut().and_then(|w| w.process.reap()) else { return };
        let Some(mut worker) = self.worker.take() else { return };
        worker.stderr.close(&self.log, now);
        self.notices.clear();
        let mut fields = vec![how_ended(status), ("calls_held", worker.held().len().into())];
        if worker.held().len() > 0 {
            fields.push(("request_ids", supervise::some_ids(&worker).into()));
        }
        let worker_ended_well = worker.is_drained() && status.success();
        if worker_ended_well {
            self.log.info("broker", "worker ended", &fields);
        } else {
            self.log.error("broker", "worker died", &fields);
        }
        // Nobody is left to hear them.
        drop(self.audit.deferred());
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
        self.orphans = worker.into_orphans();
        let unconfined = status.code() == Some(Exit::Violation.code().into());
        if status.signal() == Some(SIGSYS) {
            self.violation("the worker was killed by its own filter");
        } else if unconfined {
            self.violation("the worker found that its confinement does not hold");
        }
        let retired = std::mem::take(&mut self.retiring) && worker_ended_well;
        if self.stopping.is_some() {
            self.children.stop_all(now);
        } else if retired {
            self.children.abandon(now);
            self.restart_at = Some(now);
        } else {
            self.notify.status("the worker died and is being replaced");
            self.children.abandon(now);
            self.plan_worker(now);
        }
    }
}
