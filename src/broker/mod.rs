//! The broker: the process that was started, and the only one that starts others.
//!
//! It owns the service manager, the worker, the MCP servers and the at-most-once window. It has one thread and one
//! place to wait (`service`). It never parses a byte that came from the network: the worker's frames are a closed
//! set of messages (`ipc::msg`), and what is not legal in them ends the worker (`permit`).

use std::collections::BTreeMap;
use std::time::Instant;

use aws_lc_rs::rand;

use crate::config::types::Config;
use crate::exit::Exit;
use crate::ipc::digest::hex;
use crate::log::Log;
use crate::sys::process;
use crate::sys::signals::Signals;

use notify::Notify;
use service::Broker;
use spawn::Images;

pub mod budget;
pub mod child;
pub mod children;
pub mod notify;
pub mod permit;
pub mod relay;
mod service;
pub mod sockets;
pub mod spawn;
pub mod supervise;
pub mod window;

/// Serves until a signal ends it. `env` is the snapshot of the environment that was taken at the start.
#[must_use]
pub fn run(config: Config, env: &BTreeMap<String, String>, log: Log) -> Exit {
    let mut random = [0; 16];
    if rand::fill(&mut random).is_err() {
        log.error("broker", "no random numbers", &[]);
        return Exit::Os;
    }
    let instance_id = hex(&random);
    let tunnel_id = config.worker.control.tunnel_id.clone();
    let log = log.always(vec![("client_instance_id", instance_id.clone()), ("tunnel_id", tunnel_id)]);
    for warning in &config.warnings {
        log.warn("config", "configuration warning", &[("warning", warning.into())]);
    }
    let signals = match process::harden().and_then(|()| Signals::block()) {
        Ok(signals) => signals,
        Err(e) => {
            log.error(
                "broker",
                "the system refuses what every start needs",
                &[("error", e.to_string().into())],
            );
            return Exit::Os;
        }
    };
    let notify = Notify::new(env, Instant::now());
    Broker::new(config, instance_id, Images::default(), signals, notify, log).serve()
}
