//! What the broker hears from its workers, and what it tells them. Broker only.

use std::time::Instant;

use super::child::Id;
use super::children::Gone;
use super::handing::{About, User, WorkerId};
use super::permit::Step;
use super::service::Broker;
use super::supervise::Worker;

impl Broker {
    /// Tells the workers what there is to tell.
    pub(super) fn send(&mut self, now: Instant) {
        let serving = self.workers.iter().filter(|worker| worker.serves());
        let users: Vec<User> = serving
            .map(|worker| User {
                id: worker.id,
                slots: worker.slots().to_vec(),
                is_current: Some(worker.id) == self.current,
            })
            .collect();
        for (to, id, about) in self.children.hand_out(&users) {
            self.tell(to, id, about);
        }
        if users.iter().any(|user| user.is_current) {
            for Gone(id, retry_in) in std::mem::take(&mut self.gone) {
                for user in &users {
                    self.tell(user.id, id, About::Gone(retry_in));
                }
            }
        }
        for worker in &mut self.workers {
            worker.flush(now);
        }
    }

    fn tell(&mut self, to: WorkerId, id: Id, about: About) {
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == to) {
            worker.tell(id, about, &self.log);
        }
    }

    /// `false`: nothing more is there.
    pub(super) fn listen(&mut self, id: WorkerId, now: Instant) -> bool {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == id) else { return false };
        let mut steps = Vec::new();
        let more = worker.listen(&mut self.window, now, &self.log, &mut steps);
        for step in steps {
            self.follow(id, step, now);
        }
        more
    }

    /// Does what a step of a worker asks for.
    fn follow(&mut self, by: WorkerId, step: Step, now: Instant) {
        let slot =
            |workers: &[Worker], index| workers.iter().find(|w| w.id == by).and_then(|w| w.slot(index));
        match step {
            Step::Nothing | Step::Beat(_) | Step::Connect { .. } => {}
            Step::Verdict { call, verdict, ask } => self.decided(by, call, verdict, *ask),
            Step::Denied(denied) => self.denied(*denied),
            Step::Done { held, outcome, answer } => self.ended(&held, outcome, answer, now),
            Step::Ready { landlock, filters } => {
                let fields = [("landlock_abi", landlock.into()), ("seccomp_filters", filters.into())];
                self.log.info("confinement", "worker confined", &fields);
                self.record_confinement("worker", landlock, filters);
                self.truth.worker = (landlock, filters);
            }
            // One that only finishes does not tell how things are.
            Step::PollOk if self.current == Some(by) => self.polled(Ok(())),
            Step::PollFailing(kind, reason) if self.current == Some(by) => self.polled(Err((kind, reason))),
            Step::Reach { binding, reason } if self.current == Some(by) => {
                let worker = self.workers.iter().find(|worker| worker.id == by);
                if let Some(channel) = worker.and_then(|worker| worker.permit.channel(binding)) {
                    self.truth.reached(channel.clone(), reason);
                }
            }
            Step::PollOk | Step::PollFailing(..) | Step::Reach { .. } => {}
            Step::Facts => {
                let facts = self.facts();
                if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == by) {
                    worker.tell_facts(facts, &self.log);
                }
            }
            Step::Spawn { index, era, seen } => {
                if let Some(slot) = slot(&self.workers, index)
                    && self.children.want(slot, era, seen, by, now)
                {
                    let within = self.config.stop.drain_timeout;
                    self.tell(by, Id { index: slot, generation: seen }, About::Elsewhere(within));
                }
            }
            Step::ChildLost { index, generation } => {
                if let Some(index) = slot(&self.workers, index) {
                    self.children.lost(Id { index, generation }, by, now);
                }
            }
            Step::Returned { index, generation, era, carried } => {
                if let Some(index) = slot(&self.workers, index) {
                    self.children.returned(Id { index, generation }, by, era, carried);
                }
            }
            Step::Drained { unfinished } => {
                if unfinished > 0 {
                    let fields = [("unfinished", unfinished.into())];
                    self.log.warn("broker", "calls were given up at the end of drain_timeout", &fields);
                }
                if self.stopping.is_some() && self.workers.iter().all(Worker::is_drained) {
                    self.children.stop_all(now);
                }
            }
        }
    }
}
