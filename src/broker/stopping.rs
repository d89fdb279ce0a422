//! How the service stops: at the first signal it finishes what it has accepted, at the second it ends. Broker only.

use std::time::Instant;

use super::service::Broker;
use super::supervise::Worker;
use crate::exit::Exit;

impl Broker {
    /// The first stop signal: what is accepted is finished.
    pub(super) fn stop(&mut self, now: Instant) {
        self.log.info("broker", "stopping", &[]);
        self.begin_stop("draining", Exit::Ok);
        self.drain_all(now);
    }

    /// All workers finish; one that has not served yet ends.
    pub(super) fn drain_all(&mut self, now: Instant) {
        self.forget_incoming();
        for worker in &mut self.workers {
            worker.drain(&self.config.stop, Some(self.config.stop.poll_grace), now, &self.log);
        }
        if self.workers.is_empty() {
            self.children.stop_all(now);
        }
    }

    pub(super) fn begin_stop(&mut self, status: &str, exit: Exit) {
        self.stopping = Some(exit);
        self.restart_at = None;
        self.notify.stopping();
        self.truth.stopping = Some(status.into());
    }

    /// The second one: nothing is waited for. A failure only when something was left to wait for.
    pub(super) fn stop_now(&mut self) -> Exit {
        let held = self.workers.iter().map(|worker| worker.held().len()).sum::<usize>();
        let drained = self.workers.iter().all(Worker::is_drained);
        let finished = drained && held == 0 && self.children.is_empty();
        self.log.warn("broker", "second stop signal; ending at once", &[("calls_held", held.into())]);
        self.kill_all();
        self.stopping.filter(|_| finished).unwrap_or(Exit::TempFail)
    }

    pub(super) fn kill_all(&mut self) {
        for worker in &mut self.workers {
            worker.kill();
        }
        self.children.kill_all();
    }
}
