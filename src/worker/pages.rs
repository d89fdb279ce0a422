//! From a request for health to its answer: what the worker counted and what the broker says, put together. Worker only.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::facts::Facts;
use super::lane::Lanes;
use super::proxies::Proxies;
use super::stats::Stats;
use crate::config::health::Answers;
use crate::config::types::{Transport, Worker};
use crate::health::request::{self, Answer, Page, Request};
use crate::health::view::{Gauges, Seen, Target, object};
use crate::health::{metrics, ready};

/// What the pages are made of. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pages(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    rules: Answers,
    instance_id: String,
    control_plane: String,
    /// Kind and target of each channel.
    targets: Vec<(&'static str, String)>,
    lanes: Arc<Lanes>,
    stats: Stats,
    proxies: Proxies,
    facts: Facts,
}

impl Pages {
    /// Of a worker with this configuration.
    #[must_use]
    pub fn new(
        config: &Worker,
        instance_id: &str,
        (lanes, stats, proxies, facts): (Arc<Lanes>, Stats, Proxies, Facts),
    ) -> Self {
        let origin = |uri: &http::Uri| {
            let authority = uri.authority().map_or("", http::uri::Authority::as_str);
            format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
        };
        let targets = config.bindings.iter().map(|binding| match &binding.transport {
            Transport::Http { url, .. } => ("http", origin(url.uri())),
            Transport::Stdio { .. } => ("stdio", String::new()),
        });
        Self(Arc::new(Parts {
            rules: config.health,
            instance_id: instance_id.to_owned(),
            control_plane: origin(config.control.origin.uri()),
            targets: targets.collect(),
            lanes,
            stats,
            proxies,
            facts,
        }))
    }

    /// What may be asked by whom.
    #[must_use]
    pub fn rules(&self) -> &Answers {
        &self.0.rules
    }

    /// The answer to a request.
    pub async fn answer(&self, request: Request) -> Answer {
        if request.page == Page::Live {
            return Answer::text(200, "live");
        }
        let facts = self.0.facts.get().await;
        if request.page == Page::Ready {
            return match &facts {
                None => Answer::text(503, ready::SILENT),
                Some(facts) if facts["ready"] == true => Answer::text(200, "ready"),
                Some(facts) => Answer::text(503, reasons(facts)),
            };
        }
        let facts = facts.unwrap_or_else(|| Arc::new(silent()));
        self.page(request.page, &facts)
    }

    fn page(&self, page: Page, facts: &Value) -> Answer {
        let parts = &*self.0;
        let now = SystemTime::now();
        let mut gauges = Gauges::default();
        let mut targets = Vec::with_capacity(parts.targets.len());
        for (lane, (kind, target)) in parts.lanes.iter().zip(&parts.targets) {
            let count = |(used, of): (usize, usize)| (wide(used), wide(of));
            let ((running, slots), (waiting, room)) = (count(lane.running()), count(lane.queued()));
            gauges.queue_length = gauges.queue_length.saturating_add(waiting);
            gauges.queue_capacity = gauges.queue_capacity.saturating_add(room);
            gauges.pool_occupancy = gauges.pool_occupancy.saturating_add(running);
            gauges.pool_capacity = gauges.pool_capacity.saturating_add(slots);
            targets.push(Target { kind, target: target.clone(), inflight: running });
        }
        let proxies: Vec<_> = parts.proxies.health().iter().map(|proxy| proxy.shown(now)).collect();
        let seen = Seen {
            since: parts.stats.since(),
            now,
            instance_id: &parts.instance_id,
            control_plane: &parts.control_plane,
            figures: &parts.stats.lock(),
            gauges,
            targets: &targets,
            proxies: &proxies,
            facts,
        };
        let json = |value: Value| Answer { status: 200, kind: request::JSON, body: value.to_string() };
        match page {
            Page::Metrics => Answer { status: 200, kind: request::METRICS, body: metrics::render(&seen) },
            Page::Health(details) => json(seen.health(details.unwrap_or(parts.rules.details))),
            Page::Component(place) => json(seen.component(place)),
            Page::Status | Page::Live | Page::Ready => json(seen.status()),
        }
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// One line for each reason.
fn reasons(facts: &Value) -> String {
    let all = facts["reasons"].as_array().into_iter().flatten();
    let lines: Vec<&str> = all.filter_map(|reason| reason["text"].as_str()).collect();
    lines.join("\n")
}

/// What there is to say without the broker.
fn silent() -> Value {
    object([
        ("ready", false.into()),
        (
            "reasons",
            Value::Array(vec![object([
                ("code", "broker_silent".into()),
                ("channel", Value::Null),
                ("text", Value::from(ready::SILENT)),
            ])]),
        ),
    ])
}
