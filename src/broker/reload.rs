//! Replacing the worker while the service goes on: for another configuration, or for another file of the resolver.
//! Broker only.
//!
//! The new worker and the servers that are new must be ready before anything changes; then the old worker polls no more
//! and finishes. Until that moment everything that goes wrong only ends what is new. A sandbox is never widened:
//! what the broker's own domain does not allow is refused.

use std::io;
use std::time::Instant;

use super::domain::Domain;
use super::expiry::Expiry;
use super::files::Files;
use super::handing::WorkerId;
use super::report;
use super::scratch::Scratch;
use super::service::Broker;
use super::source::Source;
use crate::config::types::{Command, Config, Restart};

/// Most workers at a time: one serves, one gets ready, two finish. A further reload waits.
const MAX_WORKERS: usize = 4;

/// What a reload needs, kept from the start.
#[derive(Debug)]
pub struct Renewal {
    /// Reads the configuration.
    pub source: Source,
    /// What can be granted without a restart.
    pub domain: Domain,
    /// Where servers get their temporary directories; `None` when there was no server at the start.
    pub scratch: Option<Scratch>,
}

/// A worker that gets ready to follow the one that serves.
#[derive(Debug)]
pub struct Incoming {
    worker: WorkerId,
    /// What was read anew; else the configuration stays as it is.
    anew: Option<Box<(Config, Files)>>,
    /// Of the commands of the configuration.
    pub slots: Vec<u8>,
    /// Those of them that are new.
    fresh: Vec<u8>,
}

impl Broker {
    /// Whether this is the worker that gets ready.
    pub(super) fn is_incoming(&self, id: WorkerId) -> bool {
        self.incoming.as_ref().is_some_and(|incoming| incoming.worker == id)
    }

    /// Looks whether a file has changed that the configuration or the worker depends on, and whether a reload waits.
    pub(super) fn look_for_changes(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        if self.reload_again && self.has_room() {
            self.reload_again = false;
            self.reload("an earlier request", now);
        } else if let Some(path) = self.files.changed(now) {
            self.reload(&path.display().to_string(), now);
        }
        for warning in self.expiry.news(&self.config.worker, now) {
            self.log.warn("config", "a certificate of the agent's own", &[("warning", warning.into())]);
        }
        if self.resolver.replaced(now) {
            self.log.info("broker", "the files of the resolver were replaced; so is the worker", &[]);
            if self.has_room() {
                self.notify.reloading();
                let begun = self.bring_in(None, now);
                self.begun(begun, now);
            } else {
                self.reload_again = true;
            }
        }
    }

    fn has_room(&self) -> bool {
        self.incoming.is_none() && self.workers.len() < MAX_WORKERS
    }

    /// Reads everything again and brings a worker in that uses it. `why` is logged.
    pub(super) fn reload(&mut self, why: &str, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        self.log.info("broker", "reloading", &[("because_of", why.into())]);
        self.notify.reloading();
        self.truth.refused = None;
        if !self.has_room() {
            self.log.info("broker", "the reload waits for the one before it", &[]);
            self.reload_again = true;
            return;
        }
        let before = Files::of(&self.config, now);
        let begun = self.renewed().and_then(|config| {
            let files = Files::of(&config, now).unless_changed_since(&before);
            self.bring_in(Some(Box::new((config, files))), now)
        });
        self.begun(begun, now);
    }

    fn begun(&mut self, begun: Result<(), Vec<String>>, now: Instant) {
        if let Err(reasons) = begun {
            for reason in &reasons {
                self.log.error("config", "reload refused", &[("reason", reason.into())]);
                self.record_reload(Some(reason));
            }
            self.refuse_reload("see the reasons in the log", now);
        }
    }

    /// The configuration as it is now, when it can be used without a restart.
    fn renewed(&mut self) -> Result<Config, Vec<String>> {
        let config = self.renewal.source.read()?;
        let mut lacks: Vec<String> = changed_for_good(&self.config, &config).map(str::to_string).collect();
        lacks.extend(self.renewal.domain.lacks(&config));
        if self.renewal.scratch.is_none() && !config.commands.is_empty() {
            lacks.push("mcp.commands, since there was none".into());
        }
        if lacks.is_empty() {
            return Ok(config);
        }
        Err(lacks.into_iter().map(|what| format!("needs a restart: {what}")).collect())
    }

    /// Starts the worker and the servers that are new.
    fn bring_in(&mut self, anew: Option<Box<(Config, Files)>>, now: Instant) -> Result<(), Vec<String>> {
        let said = |e: io::Error| vec![e.to_string()];
        let (slots, fresh) = match &anew {
            Some(anew) => self.slots_for(&anew.0.commands, &anew.0.restart).map_err(said)?,
            None => (self.slots.clone(), Vec::new()),
        };
        for slot in &fresh {
            self.children.begin_one(*slot, now).map_err(|e| vec![e.to_string()])?;
        }
        let config = anew.as_ref().map(|anew| &anew.0);
        let worker = self.launch_worker(config, slots.clone(), now).map_err(said)?;
        self.incoming = Some(Incoming { worker, anew, slots, fresh });
        Ok(())
    }

    /// The slots of these commands, and those of them that are new.
    pub(super) fn slots_for(
        &mut self,
        commands: &[Command],
        restart: &Restart,
    ) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let (mut slots, mut fresh) = (Vec::new(), Vec::new());
        for wanted in commands {
            let slot = match self.children.slot_of(wanted) {
                Some(slot) => slot,
                None => {
                    let command = match &mut self.renewal.scratch {
                        Some(scratch) => scratch.dress(wanted.clone())?,
                        None => wanted.clone(),
                    };
                    let slot = self.children.add(wanted, command, restart);
                    let slot = slot.ok_or_else(|| io::Error::other("too many mcp commands at a time"))?;
                    fresh.push(slot);
                    slot
                }
            };
            slots.push(slot);
        }
        Ok((slots, fresh))
    }

    /// Lets the new worker follow when it and the new servers are ready.
    pub(super) fn promote(&mut self, now: Instant) {
        let Some(incoming) = &self.incoming else { return };
        let runs: Vec<Option<bool>> = incoming.fresh.iter().map(|slot| self.children.runs(*slot)).collect();
        if runs.contains(&Some(false)) {
            return self.refuse_reload("a new mcp server cannot be started", now);
        }
        let ready = self.workers.iter().any(|worker| worker.id == incoming.worker && worker.is_ready());
        if !ready || runs.contains(&None) {
            return;
        }
        let Some(Incoming { worker, anew, slots, .. }) = self.incoming.take() else { return };
        let old = self.current.replace(worker);
        // It began with the promise of the old configuration.
        if let Some(old) = self.workers.iter_mut().find(|worker| Some(worker.id) == old) {
            if old.was_let_go() {
                old.drain(&self.config.stop, None, now, &self.log);
            } else {
                old.discard();
            }
        }
        self.slots = slots;
        self.restart_at = None;
        if let Some(anew) = anew {
            (self.config, self.files) = *anew;
            self.expiry = Expiry::new(&self.config.worker, now);
            self.worker_budget.set(&self.config.restart);
            report(&self.config, &self.log);
            self.learn_configuration();
        }
        self.children.renew(&self.slots, now);
        self.let_slots_go(now);
        self.log.info("broker", "reloaded; the old worker finishes", &[]);
        self.record_reload(None);
        self.truth.reloads[0] = self.truth.reloads[0].saturating_add(1);
        self.settled();
    }

    /// Nothing has changed. What was started for it is ended.
    pub(super) fn refuse_reload(&mut self, why: &'static str, now: Instant) {
        self.forget_incoming();
        self.let_slots_go(now);
        self.log.error("broker", "reload refused; everything goes on as before", &[("reason", why.into())]);
        self.truth.reloads[1] = self.truth.reloads[1].saturating_add(1);
        self.truth.refused = Some(why.into());
        self.settled();
        if self.current.is_none() && self.restart_at.is_none() && self.stopping.is_none() {
            self.plan_worker(now);
        }
    }

    fn settled(&mut self) {
        if !self.reload_again && self.stopping.is_none() {
            self.notify.reloaded();
        }
    }

    /// Ends a worker that gets ready.
    pub(super) fn forget_incoming(&mut self) {
        self.reload_again &= self.stopping.is_none();
        let Some(incoming) = self.incoming.take() else { return };
        if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == incoming.worker) {
            worker.discard();
        }
    }
}

/// Settings that differ and are used only at the start.
fn changed_for_good<'a>(old: &Config, new: &Config) -> impl Iterator<Item = &'a str> {
    let same = |same: bool, what: &'a str| (!same).then_some(what);
    [
        same(old.worker.control.tunnel_id == new.worker.control.tunnel_id, "control_plane.tunnel_id"),
        same(old.log == new.log, "log"),
        same(old.audit == new.audit, "audit"),
        same(
            old.health.listen == new.health.listen,
            "health.listen_addr, health.unix_socket or health.enabled",
        ),
        same(old.health.url_file == new.health.url_file, "health.url_file"),
        same(old.health.pid_file == new.health.pid_file, "process.pid_file"),
        same(old.confinement.require == new.confinement.require, "confinement.require"),
        same(old.confinement.identity == new.confinement.identity, "confinement.user or confinement.group"),
    ]
    .into_iter()
    .flatten()
}
