//! Whether the configured proxies can be reached: looked at regularly, kept for whoever reports it. Worker only.
//!
//! A check opens a connection, with TLS where the proxy's URL says so, and closes it. It asks the proxy for nothing,
//! so it shows neither that its credentials are good nor that it reaches anybody.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::types::Worker;
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
    /// How long the last one took.
    pub took: Duration,
    /// Why the last one failed: where, and what.
    pub failure: Option<(net::Phase, net::Cause)>,
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
                took: Duration::ZERO,
                failure: None,
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
        health.took = began.elapsed();
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
