//! What a worker is told when somebody asks how the service is: one JSON object. Broker only.
//!
//! Names, numbers and digests: nothing in it is a secret, and whoever may ask for health may see all of it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::record::policy_digest;
use super::service::Broker;
use crate::health::view::object;
use crate::ipc::digest::hex;

impl Broker {
    /// The object, as `health::view` and `health::metrics` read it.
    pub(super) fn facts(&self) -> Value {
        let reasons = self.reasons();
        let truth = &self.truth;
        let lifecycle = match (&truth.stopping, self.started) {
            (Some(_), _) => "draining",
            (None, true) => "running",
            (None, false) => "starting",
        };
        let reasons: Vec<Value> = reasons
            .iter()
            .map(|r| {
                object([
                    ("code", Value::from(r.code)),
                    ("channel", Value::from(r.channel.clone())),
                    ("text", Value::from(r.text.as_str())),
                ])
            })
            .collect();
        let children: Vec<Value> = self
            .config
            .commands
            .iter()
            .zip(&self.slots)
            .map(|(command, slot)| {
                let (state, restarts) = self.children.standing(*slot);
                object([
                    ("channel", Value::from(command.channel.as_str())),
                    ("state", Value::from(state)),
                    ("restarts", Value::from(restarts)),
                ])
            })
            .collect();
        let certificates: Vec<Value> = truth
            .certificates
            .iter()
            .map(|(of, ends)| object([("of", Value::from(of.as_str())), ("not_after", Value::from(*ends))]))
            .collect();
        let [reloaded, refused] = truth.reloads;
        object([
            ("ready", Value::from(reasons.is_empty())),
            ("ready_since", Value::from(seconds(truth.ready_since.1))),
            ("reasons", Value::from(reasons)),
            ("lifecycle", Value::from(lifecycle)),
            ("started_at", Value::from(seconds(truth.started_at))),
            ("worker_restarts", Value::from(truth.worker_restarts)),
            ("children", Value::from(children)),
            ("audit", self.audit.facts()),
            ("certificates", Value::from(certificates)),
            ("pin_mismatches", Value::from(truth.pin_mismatches)),
            (
                "confinement",
                object([
                    (
                        "broker",
                        object([
                            ("landlock_abi", Value::from(truth.broker.landlock)),
                            ("seccomp_filters", Value::from(truth.broker.filters)),
                        ]),
                    ),
                    (
                        "worker",
                        object([
                            ("landlock_abi", Value::from(truth.worker.0)),
                            ("seccomp_filters", Value::from(truth.worker.1)),
                        ]),
                    ),
                    ("violations", Value::from(truth.violations)),
                ]),
            ),
            (
                "reloads",
                object([
                    ("done", Value::from(reloaded)),
                    ("refused", Value::from(refused)),
                    ("last_refusal", Value::from(truth.refused.clone())),
                ]),
            ),
            ("config_sha256", Value::from(self.config.file_sha256.map(|digest| hex(&digest)))),
            ("policy_sha256", Value::from(self.policy.as_str())),
        ])
    }

    /// What does not change between two reloads.
    pub(super) fn learn_configuration(&mut self) {
        self.policy = policy_digest(&self.config.worker);
        self.truth.certificates = crate::tls::own_certificates(&self.config.worker);
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
