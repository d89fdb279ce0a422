//! What `/health` and `/status` show, as JSON. Pure.
//!
//! No secret, no argument and no result is known here. Texts that a peer chose are short and escaped
//! (`figures::shown`).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

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
    pub queue_capacity: usize,
    /// Commands that wait.
    pub queue_length: usize,
    /// Commands that may be in progress.
    pub pool_capacity: usize,
    /// Commands that are.
    pub pool_occupancy: usize,
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
    pub inflight: usize,
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
        let mut all = json!({
            "schema_version": 1,
            "live": true,
            "ready": self.facts["ready"],
            "snapshot_at": rfc3339(self.now),
            "runtime": {
                "instance_id": self.instance_id,
                "version": env!("CARGO_PKG_VERSION"),
                "flavor": "tunnelward",
                "started_at": rfc3339(began),
                "uptime_seconds": self.uptime(),
                "lifecycle": self.facts["lifecycle"],
            },
        });
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
            "mcp" => (self.reason("mcp_"), json!({"channels": self.channels()})),
            "control-plane" => (
                self.reason("control_plane_").or_else(|| self.reason("not_polled")),
                json!({"last_success_at": seconds(f.last_poll), "polls": f.cycles}),
            ),
            "response-delivery" => (None, json!({"posted": f.http[1].count()})),
            "queue" => {
                let g = &self.gauges;
                (None, json!({"length": g.queue_length, "capacity": g.queue_capacity}))
            }
            "dispatcher" => {
                let g = &self.gauges;
                let reason = self.reason("worker_").or_else(|| self.reason("audit_"));
                (reason, json!({"occupancy": g.pool_occupancy, "capacity": g.pool_capacity}))
            }
            "proxy" if !self.proxies.is_empty() => {
                (self.reason("control_plane_proxy"), json!({"proxies": self.proxies()}))
            }
            // Not built, or not configured.
            _ => return json!({"status": "disabled"}),
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
            json!({
                "name": channel.name,
                "kind": target.kind,
                "target": target.target,
                "reachable": reason.is_none(),
                "reason": reason,
                "calls": channel.calls,
                "errors": channel.errors,
                "denied": channel.denied,
                "inflight": target.inflight,
                "p50_ms": channel.took.percentile(50),
                "p99_ms": channel.took.percentile(99),
            })
        };
        channels.map(one).collect()
    }

    fn proxies(&self) -> Vec<Value> {
        let one = |p: &Proxy| {
            json!({
                "proxy": p.id,
                "reachable": p.last_check.is_some() && p.last_check == p.last_success,
                "last_check": seconds(p.last_check),
                "last_success": seconds(p.last_success),
            })
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
                json!({
                    "time": rfc3339(call.at),
                    "channel": channel,
                    "method": call.method,
                    "name": call.name,
                    "outcome": call.outcome,
                    "ms": call.ms,
                })
            })
            .collect();
        let last = f.last_poll.and_then(|at| self.now.duration_since(at).ok()).map(|age| age.as_secs());
        json!({
            "version": 1,
            "agent_version": env!("CARGO_PKG_VERSION"),
            "instance_id": self.instance_id,
            "started_at": facts["started_at"],
            "uptime_seconds": self.uptime(),
            "counted_since_seconds": self.since.as_secs(),
            "lifecycle": facts["lifecycle"],
            "ready": facts["ready"],
            "since": facts["ready_since"],
            "reasons": facts["reasons"],
            "control_plane": {
                "origin": self.control_plane,
                "seconds_since_success": last,
                "failing": self.reason("control_plane_"),
                "polls": f.cycles,
                "errors": f.poll_errors.iter().sum::<u64>(),
            },
            "channels": self.channels(),
            "totals": {
                "calls": total(|c| c.calls),
                "errors": total(|c| c.errors),
                "denied": total(|c| c.denied),
                "per_minute": f.per_minute(self.since),
            },
            "recent": recent,
            "children": facts["children"],
            "worker_restarts": facts["worker_restarts"],
            "audit": facts["audit"],
            "policy": {
                "sha256": facts["policy_sha256"],
                "allowed": f.verdicts[0],
                "denied": f.verdicts[1],
                "monitored": f.verdicts[2],
            },
            "config_sha256": facts["config_sha256"],
            "reloads": facts["reloads"],
            "confinement": facts["confinement"],
            "certificates": facts["certificates"],
            "pin_mismatches": facts["pin_mismatches"],
            "proxies": self.proxies(),
        })
    }
}

/// Adds a member to an object.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.into(), value);
    }
}

/// The value, or what says that it is too large to be shown.
fn bounded(value: Value, most: usize) -> Value {
    if value.to_string().len() <= most { value } else { json!({"status": "unknown", "truncated": true}) }
}

#[cfg(test)]
#[path = "view_tests.rs"]
pub(super) mod tests;
