//! A call that a worker may forward, or answers for. Pure; broker only.

use std::time::{Duration, Instant};

use crate::ipc::msg::Ask;

/// A call that was permitted or inherited, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The call.
    pub(super) ask: Ask,
    /// Since when.
    pub(super) since: Instant,
    /// What the audit log calls it.
    pub(super) record: Option<String>,
    /// It stays in doubt whatever comes of it: should it be delivered again, it is answered again.
    pub(super) inherited: bool,
}

impl Held {
    /// The id that the control plane gave it.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.ask.request_id
    }

    /// What the audit log calls it, when its decision was recorded.
    #[must_use]
    pub fn record(&self) -> Option<&str> {
        self.record.as_deref()
    }

    /// Since when it is held.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Whether a worker died that held it.
    #[must_use]
    pub fn was_inherited(&self) -> bool {
        self.inherited
    }

    /// How long its deadline has passed.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> Duration {
        let ttl = self.ask.ttl_ms.map(Duration::from_millis);
        ttl.and_then(|ttl| now.saturating_duration_since(self.since).checked_sub(ttl)).unwrap_or_default()
    }

    /// The call with the time that is left to it; `None` when its deadline has passed and nobody wants an answer.
    #[must_use]
    pub fn orphan(&self, now: Instant) -> Option<Ask> {
        let mut ask = self.ask.clone();
        if let Some(ttl) = ask.ttl_ms {
            let left = Duration::from_millis(ttl).checked_sub(now.saturating_duration_since(self.since))?;
            ask.ttl_ms = Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        }
        Some(ask)
    }
}
