//! What a worker is told when somebody asks how the service is: one JSON object. Broker only.
//!
//! Names, numbers and digests: nothing in it is a secret, and whoever may ask for health may see all of it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::record::policy_digest;
use super::service::Broker;
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
        let reasons: Vec<Value> =
            reasons.iter().map(|r| json!({"code": r.code, "channel": r.channel, "text": r.text})).collect();
        let children: Vec<Value> = self
            .config
            .commands
            .iter()
            .zip(&self.slots)
            .map(|(command, slot)| {
                let (state, restarts) = self.children.standing(*slot);
                json!({"channel": command.channel.as_str(), "state": state, "restarts": restarts})
            })
            .collect();
        let certificates: Vec<Value> =
            truth.certificates.iter().map(|(of, ends)| json!({"of": of, "not_after": ends})).collect();
        let [reloaded, refused] = truth.reloads;
        json!({
            "ready": reasons.is_empty(),
            "ready_since": seconds(truth.ready_since.1),
            "reasons": reasons,
            "lifecycle": lifecycle,
            "started_at": seconds(truth.started_at),
            "worker_restarts": truth.worker_restarts,
            "children": children,
            "audit": self.audit.facts(),
            "certificates": certificates,
            "pin_mismatches": truth.pin_mismatches,
            "confinement": {
                "broker": {"landlock_abi": truth.broker.landlock, "seccomp_filters": truth.broker.filters},
                "worker": {"landlock_abi": truth.worker.0, "seccomp_filters": truth.worker.1},
                "violations": truth.violations,
            },
            "reloads": {"done": reloaded, "refused": refused, "last_refusal": truth.refused},
            "config_sha256": self.config.file_sha256.map(|digest| hex(&digest)),
            "policy_sha256": self.policy,
        })
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
