//! The metrics in the text format of Prometheus, version 0.0.4. Pure.
//!
//! Names without the prefix `tunnelward_` are those of `tunnel-client`. No label is a text that a peer chose.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::figures::{Channel, Figures, OTHER};
use super::histogram::{Histogram, Unit};
use super::ready::CODES;
use super::view::{Proxy, Seen};

const LATENCIES: [&str; 2] = ["enqueue_to_response", "poll_to_response"];

/// All of them.
#[must_use]
pub fn render(seen: &Seen<'_>) -> String {
    let mut page = Text(String::with_capacity(16 * 1024));
    page.control_plane(seen.figures);
    page.calls(seen);
    page.proxies(seen.proxies);
    page.service(seen);
    page.0
}

struct Text(String);

impl Text {
    #[inline(never)]
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// `labels` are names and values in turn.
    #[inline(never)]
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels = braces(labels);
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// A family of one.
    #[inline(never)]
    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    #[inline(never)]
    fn each(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        values: &mut dyn Iterator<Item = (&str, u64)>,
    ) {
        self.family(name, kind, help);
        for (of, value) in values {
            self.sample(name, &[(label, of)], value);
        }
    }

    #[inline(never)]
    fn times(&mut self, name: &str, labels: &[(&str, &str)], times: &Histogram, unit: Unit) {
        times.write(&mut self.0, name, &braces(labels), unit);
    }

    fn control_plane(&mut self, f: &Figures) {
        self.one("commands_polled_total", "counter", "Commands that polls brought.", f.polled);
        self.one("commands_enqueued_total", "counter", "Commands that were taken on.", f.enqueued);
        self.one("commands_poll_cycles_total", "counter", "Polls that have ended.", f.cycles);
        let name = "commands_poll_latency_seconds";
        self.family(name, "histogram", "How long polls took.");
        for (error, times) in ["false", "true"].into_iter().zip(&f.poll_took) {
            self.times(name, &[("error", error)], times, Unit::Seconds);
        }
        let name = "commands_age_seconds";
        self.family(name, "histogram", "How old commands were when a poll brought them.");
        self.times(name, &[], &f.ages, Unit::Seconds);
        let mut kinds = ["timeout", "context_canceled", "other"].into_iter().zip(f.poll_errors);
        self.each(("commands_poll_errors_total", "counter", "Polls that failed."), "error_kind", &mut kinds);
        let mut kinds = ["invalid_command_type", "context_canceled"].into_iter().zip(f.drops);
        self.each(
            ("commands_queue_drops_total", "counter", "Commands that were dropped."),
            "drop_reason",
            &mut kinds,
        );
        if let Some(at) = f.last_poll {
            let name = "commands_poll_last_successful_timestamp_seconds";
            self.one(name, "gauge", "When the last poll succeeded.", unix(at));
        }
        let mut kinds = ["jsonrpc", "session_termination", "oauth_discovery"].into_iter().zip(f.unsupported);
        let family = (
            "command_unsupported_channel_total",
            "counter",
            "Commands for channels that are not configured.",
        );
        self.each(family, "command_type", &mut kinds);
        let name = "http_client_request_duration_seconds";
        self.family(name, "histogram", "How long requests took.");
        for (route, times) in ["poll", "response", "mcp"].into_iter().zip(&f.http) {
            self.times(name, &[("http_route", route)], times, Unit::Seconds);
        }
    }

    fn calls(&mut self, seen: &Seen<'_>) {
        let (f, g) = (seen.figures, &seen.gauges);
        self.one("commands_queue_capacity", "gauge", "Commands that may wait.", g.queue_capacity);
        self.one("commands_queue_length", "gauge", "Commands that wait.", g.queue_length);
        let name = "dispatcher_worker_pool_capacity";
        self.one(name, "gauge", "Commands that may be in progress.", g.pool_capacity);
        let name = "dispatcher_worker_pool_occupancy";
        self.one(name, "gauge", "Commands that are in progress.", g.pool_occupancy);
        let name = "command_end_to_end_latency_milliseconds";
        self.family(name, "histogram", "How long commands took until their answer was delivered.");
        for (labels, both) in &f.ends {
            let channel = labels.channel.and_then(|place| f.channels.get(place)).map_or(OTHER, |c| &c.name);
            for (latency, times) in LATENCIES.into_iter().zip(both) {
                let labels = [
                    ("request_kind", labels.kind),
                    ("request_method", labels.method),
                    ("channel", channel),
                    ("tunnel_service_status", labels.status),
                    ("latency_type", latency),
                ];
                self.times(name, &labels, times, Unit::Milliseconds);
            }
        }
        let mut verdicts = ["allowed", "denied", "monitored"].into_iter().zip(f.verdicts);
        let family = ("tunnelward_policy_decisions_total", "counter", "What the call policy decided.");
        self.each(family, "verdict", &mut verdicts);
        type Count = (&'static str, &'static str, fn(&Channel) -> u64);
        let counts: [Count; 3] = [
            ("tunnelward_calls_total", "Calls that have ended.", |c| c.calls),
            (
                "tunnelward_call_errors_total",
                "Calls that the agent answered with a failure of its own.",
                |c| c.errors,
            ),
            ("tunnelward_calls_denied_total", "Calls that the call policy refused.", |c| c.denied),
        ];
        for (name, help, of) in counts {
            let mut values = f.channels.iter().map(|c| (c.name.as_str(), of(c)));
            self.each((name, "counter", help), "channel", &mut values);
        }
    }

    fn proxies(&mut self, proxies: &[Proxy]) {
        if proxies.is_empty() {
            return;
        }
        let state = |p: &Proxy| u64::from(p.last_success.is_some() && p.last_success == p.last_check);
        let mut values = proxies.iter().map(|p| (p.id.as_str(), state(p)));
        self.each(
            ("proxy_health_state", "gauge", "Whether the proxy can be reached."),
            "proxy_id",
            &mut values,
        );
        let at = |at: Option<SystemTime>| at.map_or(0, unix);
        let mut values = proxies.iter().map(|p| (p.id.as_str(), at(p.last_check)));
        self.each(
            ("proxy_last_check_timestamp", "gauge", "When it was last tried."),
            "proxy_id",
            &mut values,
        );
        let mut values = proxies.iter().map(|p| (p.id.as_str(), at(p.last_success)));
        self.each(
            ("proxy_last_success_timestamp", "gauge", "When that last succeeded."),
            "proxy_id",
            &mut values,
        );
        let name = "proxy_check_phase_duration_seconds";
        self.family(name, "histogram", "How long the checks took.");
        for p in proxies {
            self.times(name, &[("proxy_id", &p.id), ("phase", "connect")], &p.took, Unit::Seconds);
        }
        let name = "proxy_check_failures_total";
        self.family(name, "counter", "Checks that failed.");
        for p in proxies {
            for (phase, reason, count) in &p.failures {
                self.sample(name, &[("proxy_id", &p.id), ("phase", phase), ("reason", reason)], *count);
            }
        }
    }

    fn service(&mut self, seen: &Seen<'_>) {
        self.one("liveness", "gauge", "This process answers.", 1);
        let facts = seen.facts;
        self.one("readiness", "gauge", "The service is ready.", u64::from(facts["ready"] == true));
        let has = |code: &str| {
            let mut reasons = facts["reasons"].as_array().into_iter().flatten();
            u64::from(reasons.any(|reason| reason["code"] == code))
        };
        let family = ("tunnelward_not_ready_reason", "gauge", "Why the service is not ready.");
        self.each(family, "code", &mut CODES.iter().map(|code| (*code, has(code))));
        let name = "tunnelward_build_info";
        self.family(name, "gauge", "The version that runs.");
        self.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        for (name, kind, help, value) in [
            ("tunnelward_start_time_seconds", "gauge", "When the service began.", at(facts, "/started_at")),
            (
                "tunnelward_worker_restarts_total",
                "counter",
                "Workers that were started in place of dead ones.",
                at(facts, "/worker_restarts"),
            ),
            (
                "tunnelward_pin_mismatches_total",
                "counter",
                "Polls that met a control plane without a pinned key.",
                at(facts, "/pin_mismatches"),
            ),
            (
                "tunnelward_confinement_violations_total",
                "counter",
                "Processes that did what is denied.",
                at(facts, "/confinement/violations"),
            ),
            (
                "tunnelward_audit_records_total",
                "counter",
                "Records that were written since the start.",
                at(facts, "/audit/records"),
            ),
            (
                "tunnelward_audit_failures_total",
                "counter",
                "Times that records could not be written.",
                at(facts, "/audit/failures"),
            ),
        ] {
            self.one(name, kind, help, number(value));
        }
        let failing = u64::from(*at(facts, "/audit/failing") == true);
        self.one("tunnelward_audit_failing", "gauge", "Records cannot be written.", failing);
        for (name, help, member) in [
            ("tunnelward_confinement_landlock_abi", "The Landlock ABI that is enforced.", "landlock_abi"),
            ("tunnelward_confinement_seccomp_filters", "System-call filters in force.", "seccomp_filters"),
        ] {
            let value = |role| number(at(facts, &format!("/confinement/{role}/{member}")));
            let mut values = ["broker", "worker"].into_iter().map(|role| (role, value(role)));
            self.each((name, "gauge", help), "role", &mut values);
        }
        let value = |how| number(at(facts, &format!("/reloads/{how}")));
        let mut reloads = ["done", "refused"].into_iter().map(|how| (how, value(how)));
        let family = ("tunnelward_reloads_total", "counter", "Reloads, by how they ended.");
        self.each(family, "outcome", &mut reloads);
        let list = |of: &'static str, label: &'static str, value: &'static str| {
            let all = facts[of].as_array().into_iter().flatten();
            all.map(move |one| (one[label].as_str().unwrap_or_default(), number(&one[value])))
        };
        let family = (
            "tunnelward_child_restarts_total",
            "counter",
            "Ends of MCP servers after which they were started again.",
        );
        self.each(family, "channel", &mut list("children", "channel", "restarts"));
        let family = (
            "tunnelward_certificate_expiry_timestamp_seconds",
            "gauge",
            "When certificates of the agent end.",
        );
        self.each(family, "certificate", &mut list("certificates", "of", "not_after"));
    }
}

/// What is at a place in the facts; nothing, when that is not known.
fn at<'a>(facts: &'a Value, pointer: &str) -> &'a Value {
    facts.pointer(pointer).unwrap_or(&Value::Null)
}

/// Seconds since 1970.
fn unix(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Without the braces.
fn braces(labels: &[(&str, &str)]) -> String {
    let one = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    };
    labels.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
