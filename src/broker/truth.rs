//! How the service is, as the broker sees it: what its workers tell, what becomes of them, of the MCP servers and of the
//! audit log. Broker only. Readiness is judged here, from one state, whenever anything may have changed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::service::Broker;
use crate::config::audit::OnFailure;
use crate::config::types::{Channel, Transport};
use crate::confine::Facts as Confined;
use crate::health::ready::{self, Poll, Reason, Server, State, Worker};
use crate::ipc::msg::Trouble;

/// What is remembered of what happened.
#[derive(Debug)]
pub struct Truth {
    /// How the last poll went; none has ended before.
    poll: Option<Result<(), (Trouble, String)>>,
    /// Of the HTTP servers, whether they can be reached; by channel, so that the next worker's are the same.
    reach: BTreeMap<Channel, Option<String>>,
    /// The service stops: why.
    pub stopping: Option<String>,
    /// How the last reload was refused.
    pub refused: Option<String>,
    /// Workers die again and again.
    pub spent: bool,
    pub(super) started_at: SystemTime,
    /// Whether the service is ready, and since when it is, or is not.
    pub(super) ready_since: (bool, SystemTime),
    pub(super) worker_restarts: u64,
    pub(super) reloads: [u64; 2],
    pub(super) violations: u64,
    pub(super) pin_mismatches: u64,
    pub(super) broker: Confined,
    /// What the worker says of itself: Landlock ABI, filters.
    pub(super) worker: (u8, u8),
    /// Of the agent's own certificates, whose it is and when it ends, in seconds since 1970.
    pub(super) certificates: Vec<(String, u64)>,
}

impl Truth {
    /// Nothing has happened.
    #[must_use]
    pub fn new(broker: Confined) -> Self {
        Self {
            poll: None,
            reach: BTreeMap::new(),
            stopping: None,
            refused: None,
            spent: false,
            started_at: SystemTime::now(),
            ready_since: (false, SystemTime::now()),
            worker_restarts: 0,
            reloads: [0; 2],
            violations: 0,
            pin_mismatches: 0,
            broker,
            worker: (0, 0),
            certificates: Vec::new(),
        }
    }

    /// A poll was answered, or was not.
    pub fn polled(&mut self, how: Result<(), (Trouble, String)>) {
        if let Err((Trouble::Pin, _)) = how {
            self.pin_mismatches = self.pin_mismatches.saturating_add(1);
        }
        self.poll = Some(how);
    }

    /// A server can be reached, or why not.
    pub fn reached(&mut self, channel: Channel, reason: Option<String>) {
        self.reach.insert(channel, reason);
    }

    fn poll(&self) -> Poll<'_> {
        match &self.poll {
            None => Poll::NotYet,
            Some(Ok(())) => Poll::Works,
            Some(Err((kind, why))) => Poll::Failing(*kind, why),
        }
    }
}

impl Broker {
    /// Why the service is not ready; nothing: it is.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let serves = self.current.and_then(|id| self.workers.iter().find(|worker| worker.id == id));
        let worker = match serves {
            Some(worker) if worker.serves() => Worker::Serving,
            _ if self.truth.spent => Worker::Spent,
            _ if self.truth.worker_restarts > 0 => Worker::Restarting,
            _ => Worker::Starting,
        };
        let refuses = |audit: &crate::config::audit::Audit| audit.on_failure != OnFailure::Continue;
        let state = State {
            stopping: self.truth.stopping.as_deref(),
            worker,
            audit_refuses: self.audit.is_failing() && self.config.audit.as_ref().is_some_and(refuses),
            poll: self.truth.poll(),
        };
        let servers = self.config.worker.bindings.iter().map(|binding| {
            let server = match &binding.transport {
                Transport::Http { .. } => match self.truth.reach.get(&binding.channel) {
                    None => Server::Unknown,
                    Some(None) => Server::Fine,
                    Some(Some(why)) => Server::Unreachable(why),
                },
                Transport::Stdio { index, .. } => self
                    .slots
                    .get(usize::from(*index))
                    .map_or(Server::Starting, |slot| self.children.state(*slot)),
            };
            (binding.channel.as_str(), server)
        });
        ready::judge(&state, servers)
    }

    /// Lets the service manager show what readiness shows.
    pub(super) fn say_how_it_is(&mut self) {
        let reasons = self.reasons();
        if self.truth.ready_since.0 != reasons.is_empty() {
            self.truth.ready_since = (reasons.is_empty(), SystemTime::now());
        }
        let sentence = ready::sentence(&reasons);
        match &self.truth.refused {
            Some(refused) if self.truth.stopping.is_none() => {
                self.notify.status(&format!("reload refused: {refused}; {sentence}"));
            }
            _ => self.notify.status(sentence),
        }
    }
}
