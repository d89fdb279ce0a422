//! Asking the broker how the service is. Worker only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::link::Link;
use crate::ipc::msg::FromWorker;

/// How long the broker may take: it has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(1);
/// An answer serves all who ask within this time, so that nobody can make us ask without end.
const FRESH: Duration = Duration::from_millis(20);

/// What the broker said last. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Facts {
    link: Link,
    asked: Arc<AtomicBool>,
    said: watch::Sender<Option<(Instant, Arc<Value>)>>,
}

impl Facts {
    /// Nothing was asked.
    #[must_use]
    pub fn new(link: Link) -> Self {
        Self { link, asked: Arc::default(), said: watch::Sender::new(None) }
    }

    /// The broker's answer.
    pub fn answer(&self, facts: Value) {
        self.asked.store(false, Ordering::Relaxed);
        self.said.send_replace(Some((Instant::now(), Arc::new(facts))));
    }

    /// How the service is now; `None`: the broker does not answer.
    pub async fn get(&self) -> Option<Arc<Value>> {
        if let Some((at, facts)) = &*self.said.borrow()
            && at.elapsed() < FRESH
        {
            return Some(Arc::clone(facts));
        }
        let mut said = self.said.subscribe();
        // One question at a time: the answer serves all.
        if !self.asked.swap(true, Ordering::Relaxed) {
            self.link.tell(FromWorker::Facts {});
        }
        timeout(PATIENCE, said.changed()).await.ok()?.ok()?;
        let last = said.borrow();
        last.as_ref().map(|(_, facts)| Arc::clone(facts))
    }
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
