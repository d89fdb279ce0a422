//! What `/health` and `/status` show, as JSON. Pure.
//!
//! No secret, no argument and no result is known here. Texts that a peer chose are short and escaped
//! (`figures::shown`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::figures::Figures;
use super::histogram::Histogram;
use super::request::COMPONENTS;
use crate::log::rfc3339;

/// The most bytes of `/health`, and of one of its components.
const MAX_ALL: usize = 64 * 1024;
const MAX_COMPONENT: usize = 24 * 1024;

/// What changes by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gauges {
    /// Commands that may wait.
    pub queue_capacity: u64,
    /// Commands that wait.
    pub queue_length: u64,
    /// Commands that may be in progress.
    pub pool_capacity: u64,
    /// Commands that are.
    pub pool_occupancy: u64,
}

/// A proxy.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// `scheme://host:port`.
    pub id: String,
    /// When it was last tried.
    pub last_check: Option<SystemTime>,
    /// When that last succeeded.
    pub last_success: Option<SystemTime>,
    /// How long the checks took.
    pub took: Histogram,
    /// How many failed: where, why, how often.
    pub failures: Vec<(&'static str, String, u64)>,
}

/// A channel, as far as it is not counted.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `http` or `stdio`.
    pub kind: &'static str,
    /// Where it leads, without path and query.
    pub target: String,
    /// Commands in progress.
    pub inflight: u64,
}

/// Everything there is to see.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Since when the worker counts.
    pub since: Duration,
    /// Now.
    pub now: SystemTime,
    /// One service process.
    pub instance_id: &'a str,
    /// Scheme and authority of the control plane.
    pub control_plane: &'a str,
    /// What was counted.
    pub figures: &'a Figures,
    /// What changes by itself.
    pub gauges: Gauges,
    /// The channels, as [`Figures::channels`].
    pub targets: &'a [Target],
    /// The proxies.
    pub proxies: &'a [Proxy],
    /// What the broker says (`broker::facts`).
    pub facts: &'a Value,
}

fn seconds(at: Option<SystemTime>) -> Option<u64> {
    Some(at?.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

impl Seen<'_> {
    fn reasons(&self) -> impl Iterator<Item = &Value> {
        self.facts["reasons"].as_array().into_iter().flatten()
    }

    /// The text of the first reason whose code begins so.
    fn reason(&self, prefix: &str) -> Option<&Value> {
        let begins = |r: &&Value| r["code"].as_str().is_some_and(|code| code.starts_with(prefix));
        self.reasons().find(begins).map(|r| &r["text"])
    }

    fn uptime(&self) -> u64 {
        let began = self.facts["started_at"].as_u64().unwrap_or_default();
        seconds(Some(self.now)).unwrap_or_default().saturating_sub(began)
    }

    /// `/health`.
    #[must_use]
    pub fn health(&self, details: bool) -> Value {
        let began = UNIX_EPOCH + Duration::from_secs(self.facts["started_at"].as_u64().unwrap_or_default());
        let mut all = object([
            ("schema_version", 1.into()),
            ("live", true.into()),
            ("ready", self.facts["ready"].clone()),
            ("snapshot_at", Value::from(rfc3339(self.now))),
            (
                "runtime",
                object([
                    ("instance_id", Value::from(self.instance_id)),
                    ("version", Value::from(env!("CARGO_PKG_VERSION"))),
                    ("flavor", "tunnelward".into()),
                    ("started_at", Value::from(rfc3339(began))),
                    ("uptime_seconds", Value::from(self.uptime())),
                    ("lifecycle", self.facts["lifecycle"].clone()),
                ]),
            ),
        ]);
        if details {
            let mut components = Map::new();
            for (place, name) in COMPONENTS.into_iter().enumerate() {
                components.insert(name.into(), self.component(place));
            }
            put(&mut all, "components", Value::Object(components));
            put(&mut all, "reasons", self.facts["reasons"].clone());
            put(&mut all, "certificates", self.facts["certificates"].clone());
        }
        bounded(all, MAX_ALL)
    }

    /// `/health/…`, by its place in [`COMPONENTS`].
    #[must_use]
    pub fn component(&self, place: usize) -> Value {
        let f = self.figures;
        let (reason, more) = match COMPONENTS.get(place).copied().unwrap_or_default() {
            "mcp" => (self.reason("mcp_"), object([("channels", Value::from(self.channels()))])),
            "control-plane" => (
                self.reason("control_plane_").or_else(|| self.reason("not_polled")),
                object([
                    ("last_success_at", Value::from(seconds(f.last_poll))),
                    ("polls", Value::from(f.cycles)),
                ]),
            ),
            "response-delivery" => (None, object([("posted", Value::from(f.http[1].count()))])),
            "queue" => {
                let g = &self.gauges;
                (
                    None,
                    object([
                        ("length", Value::from(g.queue_length)),
                        ("capacity", Value::from(g.queue_capacity)),
                    ]),
                )
            }
            "dispatcher" => {
                let g = &self.gauges;
                let reason = self.reason("worker_").or_else(|| self.reason("audit_"));
                (
                    reason,
                    object([
                        ("occupancy", Value::from(g.pool_occupancy)),
                        ("capacity", Value::from(g.pool_capacity)),
                    ]),
                )
            }
            "proxy" if !self.proxies.is_empty() => {
                (self.reason("control_plane_proxy"), object([("proxies", Value::from(self.proxies()))]))
            }
            // Not built, or not configured.
            _ => return object([("status", "disabled".into())]),
        };
        let mut all = more;
        put(&mut all, "status", if reason.is_some() { "degraded" } else { "ok" }.into());
        if let Some(reason) = reason {
            put(&mut all, "reason", reason.clone());
        }
        bounded(all, MAX_COMPONENT)
    }

    fn channels(&self) -> Vec<Value> {
        let channels = self.figures.channels.iter().zip(self.targets);
        let one = |(channel, target): (&super::figures::Channel, &Target)| {
            let about = |r: &&Value| r["channel"] == channel.name;
            let reason = self.reasons().find(about).map(|r| &r["text"]);
            object([
                ("name", Value::from(channel.name.as_str())),
                ("kind", Value::from(target.kind)),
                ("target", Value::from(target.target.as_str())),
                ("reachable", Value::from(reason.is_none())),
                ("reason", Value::from(reason.cloned())),
                ("calls", Value::from(channel.calls)),
                ("errors", Value::from(channel.errors)),
                ("denied", Value::from(channel.denied)),
                ("inflight", Value::from(target.inflight)),
                ("p50_ms", Value::from(channel.took.percentile(50))),
                ("p99_ms", Value::from(channel.took.percentile(99))),
            ])
        };
        channels.map(one).collect()
    }

    fn proxies(&self) -> Vec<Value> {
        let one = |p: &Proxy| {
            object([
                ("proxy", Value::from(p.id.as_str())),
                ("reachable", Value::from(p.last_check.is_some() && p.last_check == p.last_success)),
                ("last_check", Value::from(seconds(p.last_check))),
                ("last_success", Value::from(seconds(p.last_success))),
            ])
        };
        self.proxies.iter().map(one).collect()
    }

    /// `/status`.
    #[must_use]
    pub fn status(&self) -> Value {
        let (f, facts) = (self.figures, self.facts);
        let total = |of: fn(&super::figures::Channel) -> u64| f.channels.iter().map(of).sum::<u64>();
        let recent: Vec<Value> = f
            .recent
            .iter()
            .rev()
            .map(|call| {
                let channel = call.channel.and_then(|place| f.channels.get(place)).map(|c| &c.name);
                object([
                    ("time", Value::from(rfc3339(call.at))),
                    ("channel", Value::from(channel.cloned())),
                    ("method", Value::from(call.method.as_str())),
                    ("name", Value::from(call.name.clone())),
                    ("outcome", Value::from(call.outcome)),
                    ("ms", Value::from(call.ms)),
                ])
            })
            .collect();
        let last = f.last_poll.and_then(|at| self.now.duration_since(at).ok()).map(|age| age.as_secs());
        object([
            ("version", 1.into()),
            ("agent_version", Value::from(env!("CARGO_PKG_VERSION"))),
            ("instance_id", Value::from(self.instance_id)),
            ("started_at", facts["started_at"].clone()),
            ("uptime_seconds", Value::from(self.uptime())),
            ("counted_since_seconds", Value::from(self.since.as_secs())),
            ("lifecycle", facts["lifecycle"].clone()),
            ("ready", facts["ready"].clone()),
            ("since", facts["ready_since"].clone()),
            ("reasons", facts["reasons"].clone()),
            (
                "control_plane",
                object([
                    ("origin", Value::from(self.control_plane)),
                    ("seconds_since_success", Value::from(last)),
                    ("failing", Value::from(self.reason("control_plane_").cloned())),
                    ("polls", Value::from(f.cycles)),
                    ("errors", Value::from(f.poll_errors.iter().sum::<u64>())),
                ]),
            ),
            ("channels", Value::from(self.channels())),
            (
                "totals",
                object([
                    ("calls", Value::from(total(|c| c.calls))),
                    ("errors", Value::from(total(|c| c.errors))),
                    ("denied", Value::from(total(|c| c.denied))),
                    ("per_minute", Value::from(f.per_minute(self.since))),
                ]),
            ),
            ("recent", Value::from(recent)),
            ("children", facts["children"].clone()),
            ("worker_restarts", facts["worker_restarts"].clone()),
            ("audit", facts["audit"].clone()),
            (
                "policy",
                object([
                    ("sha256", facts["policy_sha256"].clone()),
                    ("allowed", Value::from(f.verdicts[0])),
                    ("denied", Value::from(f.verdicts[1])),
                    ("monitored", Value::from(f.verdicts[2])),
                ]),
            ),
            ("config_sha256", facts["config_sha256"].clone()),
            ("reloads", facts["reloads"].clone()),
            ("confinement", facts["confinement"].clone()),
            ("certificates", facts["certificates"].clone()),
            ("pin_mismatches", facts["pin_mismatches"].clone()),
            ("proxies", Value::from(self.proxies())),
        ])
    }
}

/// Adds a member to an object.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.into(), value);
    }
}

/// An object of these members: less code than `json!` makes of the same.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut members = members;
    collect(&mut members)
}

fn collect(members: &mut [(&str, Value)]) -> Value {
    let mut all = Map::new();
    for (name, value) in members {
        all.insert((*name).to_owned(), value.take());
    }
    Value::Object(all)
}

/// The value, or what says that it is too large to be shown.
fn bounded(value: Value, most: usize) -> Value {
    if value.to_string().len() <= most {
        value
    } else {
        object([("status", "unknown".into()), ("truncated", true.into())])
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
pub(super) mod tests;
