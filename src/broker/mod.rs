//! The broker: the process that was started, and the only one that starts others.
//!
//! It owns the service manager, the worker, the MCP servers and the at-most-once window. It has one thread and one
//! place to wait (`service`). It never parses a byte that came from the network: the worker's frames are a closed
//! set of messages (`ipc::msg`), and what is not legal in them ends the worker (`permit`).

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use aws_lc_rs::rand;

use crate::config::confinement::Identity;
use crate::config::types::{Config, Kept};
use crate::confine::kernel::{Abi, Failed, Kernel};
use crate::confine::landlock::Grants;
use crate::confine::{self, Fenced, Sealed, Single, Unprivileged};
use crate::exit::Exit;
use crate::ipc::digest::hex;
use crate::log::{Level, Log};
use crate::sys::signals::Signals;
use crate::sys::{self, process};

use audit::{Audit, Found};
use domain::Domain;
use front::Front;
use notify::Notify;
use reload::Renewal;
use scratch::Scratch;
use service::Broker;
use source::Source;
use spawn::Images;

pub mod audit;
pub mod breach;
pub mod budget;
pub mod child;
pub mod children;
pub mod domain;
pub mod errand;
mod expiry;
mod facts;
mod files;
mod front;
mod handing;
mod hearing;
mod held;
mod lives;
pub mod notify;
pub mod permit;
mod pulse;
mod record;
pub mod relay;
mod reload;
mod resolver;
pub mod scratch;
mod service;
mod slots;
pub mod sockets;
pub mod source;
pub mod spawn;
mod standing;
mod step;
mod stopping;
mod strays;
pub mod supervise;
mod telling;
pub mod tempo;
#[cfg(test)]
mod testing;
mod truth;
pub mod window;

/// Serves until a signal ends it. `source` reads the configuration again, `env` is the environment that was taken at the start; `kernel` meets the floor of
/// the configuration, as `abi` proves.
#[must_use]
pub fn run(
    (config, source): (Config, Source),
    env: BTreeMap<String, String>,
    (kernel, abi): (Kernel, Abi),
    log: Log,
) -> Exit {
    let mut random = [0; 16];
    if rand::fill(&mut random).is_err() {
        log.error("broker", "no random numbers", &[]);
        return Exit::Os;
    }
    let instance_id = hex(&random);
    let tunnel_id = config.worker.control.tunnel_id.clone();
    let log = log.always(vec![("client_instance_id", instance_id.clone()), ("tunnel_id", tunnel_id)]);
    if let Some(caveat) = kernel.caveat() {
        log.warn("confinement", "the kernel enforces less than usual", &[("what", caveat.into())]);
    }
    report(&config, &log);
    let failed = |what: &'static str, error: &dyn std::fmt::Display| {
        log.error("broker", what, &[("error", error.to_string().into())]);
        Exit::Os
    };
    let prepared = process::harden().and_then(|()| process::adopt_orphans()).and_then(|()| Signals::block());
    let signals = match prepared {
        Ok(signals) => signals,
        Err(e) => return failed("the system refuses what every start needs", &e),
    };
    // INVARIANT: what needs the rights that the next steps take away has happened above them: the socket to the
    // service manager may be an abstract one, and the directories are made for the user that we become.
    let notify = Notify::new(&env, Instant::now());
    let name = instance_id.get(..16).unwrap_or_default();
    let base = env.get("TMPDIR").map(String::as_str);
    let scratch = (!config.commands.is_empty())
        .then(|| Scratch::make(base, name, config.confinement.identity))
        .transpose();
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(e) => return failed("the temporary directories of mcp servers cannot be made", &e),
    };
    sys::env::wipe(env);
    let front = match Front::open(&config.health, config.confinement.identity) {
        Ok(front) => front,
        Err(e) => {
            remove(scratch.as_ref(), &log);
            return failed("the health listener and its files cannot be had", &e);
        }
    };
    if !front.url().is_empty() {
        log.info("health", "🩺 HEALTH URL", &[("url", front.url().into())]);
    }
    let grants = domain::grants(&config, scratch.as_ref());
    let domain = Domain::of(grants.clone(), abi.number());
    match enter(config.confinement.identity, abi, &grants) {
        Ok(sealed) => {
            log.info("confinement", "broker confined", &facts(&sealed));
            let renewal = Renewal { source, domain, scratch };
            let audit = match open_audit(&config, &instance_id, &log) {
                Ok(audit) => audit,
                Err(exit) => {
                    remove(renewal.scratch.as_ref(), &log);
                    return exit;
                }
            };
            let system = (Images::default(), signals, notify, front);
            let broker = Broker::new(&sealed, config, instance_id, renewal, system, log);
            match audit {
                Some(audit) => broker.recorded(&sealed, audit).serve(),
                None => broker.serve(),
            }
        }
        Err(e) => {
            remove(scratch.as_ref(), &log);
            failed("confinement failed", &e)
        }
    }
}

/// Removes the temporary directories when no server is left.
fn remove(scratch: Option<&Scratch>, log: &Log) {
    if let Some(Err(e)) = scratch.map(Scratch::remove) {
        let fields = [("error", e.to_string().into())];
        log.warn("broker", "the temporary directories of mcp servers cannot be removed", &fields);
    }
}

/// The audit log of the configuration, if there is one.
fn open_audit(config: &Config, instance: &str, log: &Log) -> Result<Option<(Audit, Found)>, Exit> {
    let Some(wanted) = &config.audit else {
        log.info("audit", "calls are not recorded: the configuration has no audit section", &[]);
        return Ok(None);
    };
    Audit::open(wanted, instance, Instant::now()).map(Some).map_err(|e| {
        let fields = [("path", wanted.path.display().to_string().into()), ("error", e.to_string().into())];
        log.error("audit", "the audit log cannot be opened", &fields);
        Exit::CantCreate
    })
}

/// Confines this process as the broker.
///
/// # Errors
/// The step that failed; the process must end.
pub fn enter(identity: Option<Identity>, abi: Abi, grants: &Grants) -> Result<Sealed, Failed> {
    let single = Single::assert()?;
    let unprivileged = Unprivileged::become_(single, identity)?;
    // A change of user may have made the process open to its user again.
    process::harden()
        .map_err(|error: io::Error| Failed { step: "closing the process to its user", error })?;
    confine::broker(Fenced::enter(unprivileged, abi, grants)?)
}

fn facts(sealed: &Sealed) -> [(&'static str, crate::log::Value<'static>); 2] {
    let facts = sealed.facts();
    [("landlock_abi", facts.landlock.into()), ("seccomp_filters", facts.filters.into())]
}

/// What the operator should know of a configuration from the start.
fn report(config: &Config, log: &Log) {
    for warning in &config.warnings {
        log.warn("config", "configuration warning", &[("warning", warning.into())]);
    }
    if !config.worker.secrets().all(Kept::is_locked) {
        let fields = [("remedy", "raise RLIMIT_MEMLOCK (LimitMEMLOCK= of the unit)".into())];
        log.warn("confinement", "secrets are not locked in memory", &fields);
    }
    for command in &config.commands {
        for withheld in &command.withheld {
            let fields =
                [("channel", command.channel.as_str().into()), ("what", (&withheld.sentence).into())];
            match withheld.level {
                Level::Warn | Level::Error => {
                    log.warn("confinement", "withheld from the mcp server", &fields)
                }
                Level::Info | Level::Debug => {
                    log.info("confinement", "withheld from the mcp server", &fields)
                }
            }
        }
    }
}
