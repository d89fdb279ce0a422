//! Whether the configured proxies can be reached: looked at regularly, kept for whoever reports it. Worker only.
//!
//! A check opens a connection, with TLS where the proxy's URL says so, and closes it. It asks the proxy for nothing,
//! so it shows neither that its credentials are good nor that it reaches anybody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::types::Worker;
use crate::health::histogram::Histogram;
use crate::health::view;
use crate::log::Log;
use crate::net;

/// Bound on connecting, and again on the TLS handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of one proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `scheme://host:port`.
    pub proxy: String,
    /// Checks so far.
    pub checks: u64,
    /// Those that failed.
    pub failures: u64,
    /// When the last check began.
    pub last_check: Option<Instant>,
    /// When the last good one began.
    pub last_success: Option<Instant>,
    /// How long they took.
    pub took: Histogram,
    /// Why the last one failed: where, and what.
    pub failure: Option<(net::Phase, net::Cause)>,
    /// How often they failed so.
    pub kinds: Vec<(net::Phase, net::Cause, u64)>,
}

impl Health {
    /// As it is shown to whoever asks `now`.
    #[must_use]
    pub fn shown(&self, now: SystemTime) -> view::Proxy {
        let at = |at: Option<Instant>| at.and_then(|at| now.checked_sub(at.elapsed()));
        // The same moment stays the same moment.
        let last_check = at(self.last_check);
        let good = self.last_success == self.last_check;
        let failures = self.kinds.iter().map(|(phase, cause, count)| {
            let phase = match phase {
                net::Phase::Dns => "dns",
                net::Phase::Connect => "connect",
                net::Phase::Proxy => "proxy",
                net::Phase::Tls => "tls",
                net::Phase::Exchange => "exchange",
            };
            (phase, format!("{cause:?}").to_ascii_lowercase(), *count)
        });
        view::Proxy {
            id: self.proxy.clone(),
            last_check,
            last_success: if good { last_check } else { at(self.last_success) },
            took: self.took.clone(),
            failures: failures.collect(),
        }
    }
}

/// All proxies of a configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxies {
    watched: Arc<[(net::Proxy, Mutex<Health>)]>,
    pace: Duration,
    log: Log,
}

impl Proxies {
    /// Nothing is known yet. `tls` is for `https://` proxies.
    #[must_use]
    pub fn new(config: &Worker, tls: &rustls::ClientConfig, log: Log) -> Self {
        let watched = config.proxies().into_iter().map(|proxy| {
            let health = Health {
                proxy: proxy.shown(),
                checks: 0,
                failures: 0,
                last_check: None,
                last_success: None,
                took: Histogram::default(),
                failure: None,
                kinds: Vec::new(),
            };
            (net::Proxy::new(&proxy, tls), Mutex::new(health))
        });
        Self { watched: watched.collect(), pace: config.proxy_check_interval, log }
    }

    /// What is known of each.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.watched.iter().map(|(_, health)| lock(health).clone()).collect()
    }

    /// Checks them for ever, one after the other; returns at once when there are none. A change is logged, not the
    /// state.
    pub async fn watch(self) {
        if self.watched.is_empty() {
            return;
        }
        let mut ticks = interval(self.pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for (proxy, health) in &*self.watched {
                let began = Instant::now();
                let found = net::check(proxy, PATIENCE, PATIENCE).await;
                self.note(health, began, found);
            }
        }
    }

    fn note(&self, health: &Mutex<Health>, began: Instant, found: Result<(), net::Error>) {
        let mut health = lock(health);
        let first = health.checks == 0;
        let was_good = health.failure.is_none();
        health.checks = health.checks.saturating_add(1);
        health.last_check = Some(began);
        health.took.add(began.elapsed());
        match found {
            Ok(()) => {
                health.last_success = Some(began);
                health.failure = None;
                if first || !was_good {
                    self.log.info("proxy", "proxy is reachable", &[("proxy", (&health.proxy).into())]);
                }
            }
            Err(error) => {
                health.failures = health.failures.saturating_add(1);
                health.failure = Some((error.phase, error.cause));
                let same = |k: &&mut (net::Phase, net::Cause, u64)| (k.0, k.1) == (error.phase, error.cause);
                match health.kinds.iter_mut().find(same) {
                    Some(kind) => kind.2 = kind.2.saturating_add(1),
                    None => health.kinds.push((error.phase, error.cause, 1)),
                }
                if first || was_good {
                    let fields =
                        [("proxy", (&health.proxy).into()), ("error", crate::log::Value::show(&error))];
                    self.log.warn("proxy", "proxy is not reachable", &fields);
                }
            }
        }
    }
}

fn lock(health: &Mutex<Health>) -> MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "proxies_tests.rs"]
mod tests;
