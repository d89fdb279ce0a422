//! The call policy at work: asked before anything is forwarded, and again before an answer leaves. Worker only.
//!
//! What decides is `policy`; this holds its memory, tells it the time, and writes the log. Must never answer a caller
//! with more than the id of a rule, nor forward what the policy refuses unless it only monitors.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::Instant;

use super::answers;
use crate::log::Log;
use crate::mcp::{Answer, Note, jsonrpc};
use crate::policy::{Call, Decision, Kind, List, Mode, Pins, Policy, State, Ticket, builtin};

/// Most characters of a caller's or server's name in a log line.
const SHOWN: usize = 64;
/// Headers that MCP itself needs on the way to a server, whatever the policy allows besides; those that begin with
/// `mcp-param-` belong to them.
const ALWAYS: [&str; 7] = [
    "accept",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// What a notification contains that says that the tools are others now. Where it means something else, they are looked at
/// once more than needed.
const CHANGED: &[u8] = b"tools/list_changed";
/// No notification that says it is as long.
const CHANGED_BYTES: usize = 4096;

/// The policy of the configuration, or none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Guard(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    policy: Policy,
    state: Mutex<State>,
    started: Instant,
    log: Log,
}

/// What a call may do that was let through, and what its answer must look like. Counts as a call in flight until it
/// is dropped. The default asks for nothing: it is that of an agent without a policy.
#[derive(Debug, Default)]
pub struct Pass(Option<Allowed>);

#[derive(Debug)]
struct Allowed {
    inner: Arc<Inner>,
    channel: String,
    ticket: Ticket,
    list: Option<List>,
    result_bytes: Option<usize>,
    /// The tool that is called, when only one whose definition is approved may be.
    pinned: Option<String>,
    /// The rule that would have refused it.
    monitored: Option<String>,
    /// The rule for which its caller gets an error in the place of the server's answer.
    refused: OnceLock<&'static str>,
}

impl Guard {
    /// Reads the checked text of a policy.
    ///
    /// # Errors
    /// The first fault; the broker has found none.
    pub fn new(text: Option<&str>, log: &Log) -> Result<Self, String> {
        let Some(text) = text else {
            log.info("policy", "no call policy: everything that the MCP servers offer may be called", &[]);
            return Ok(Self(None));
        };
        let policy = crate::policy::load(text, None).map_err(|faults| {
            faults.first().map_or_else(String::new, |f| format!("{}: {}", f.path, f.expected))
        })?;
        let mode = if policy.mode == Mode::Monitor { "monitor" } else { "enforce" };
        let fields = [
            ("mode", mode.into()),
            ("rules", policy.rules.len().into()),
            ("digest", (&policy.digest).into()),
        ];
        log.info("policy", "call policy in force", &fields);
        let (state, started, log) = (Mutex::default(), Instant::now(), log.clone());
        Ok(Self(Some(Arc::new(Inner { policy, state, started, log }))))
    }

    /// Decides about a message, and takes off the headers that may not reach a server.
    ///
    /// # Errors
    /// The id of the rule that refuses it.
    pub fn message(
        &self,
        request_id: &str,
        channel: &str,
        message: &jsonrpc::Message,
        headers: &mut HeaderMap,
    ) -> Result<Pass, String> {
        let Some(inner) = &self.0 else { return Ok(Pass(None)) };
        let decision = inner.policy.decide(&Call { channel, body: message.raw(), headers });
        let found = if decision.allowed {
            inner
                .state()
                .admit(&inner.policy, channel, &decision, inner.now())
                .map_err(|(rule, why)| (rule, why.into()))
        } else {
            Err((decision.rule, decision.why.clone()))
        };
        let mut monitored = None;
        let ticket = match found {
            Ok(ticket) => ticket,
            Err((rule, why)) => {
                inner.say_refused(request_id, channel, &decision, rule, &why);
                if inner.enforces() {
                    return Err(rule.to_owned());
                }
                monitored = Some(rule.to_owned());
                Ticket::default()
            }
        };
        inner.narrow(headers);
        let result_bytes = inner.policy.result_bytes(&decision);
        let pinned = match decision.name {
            Some((Kind::Tool, tool)) if inner.policy.pins == Pins::Enforce && inner.enforces() => Some(tool),
            _ => None,
        };
        let (list, channel, inner) = (decision.list, channel.to_owned(), Arc::clone(inner));
        Ok(Pass(Some(Allowed {
            inner,
            channel,
            ticket,
            list,
            result_bytes,
            pinned,
            monitored,
            refused: OnceLock::new(),
        })))
    }

    /// Decides about the end of a session.
    ///
    /// # Errors
    /// The id of the rule that refuses it.
    pub fn termination(&self, channel: &str, headers: &mut HeaderMap) -> Result<(), String> {
        let Some(inner) = &self.0 else { return Ok(()) };
        if inner.enforces() && !inner.policy.opens(channel) {
            return Err(builtin::CHANNEL.to_owned());
        }
        inner.narrow(headers);
        Ok(())
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn enforces(&self) -> bool {
        self.policy.mode == Mode::Enforce
    }

    fn say_refused(&self, request_id: &str, channel: &str, decision: &Decision<'_>, rule: &str, why: &str) {
        let message = if self.enforces() {
            "call refused by the call policy"
        } else {
            "call would be refused by the call policy, which only monitors"
        };
        // A URI may hold what is nobody's business.
        let name = match &decision.name {
            Some((Kind::Tool | Kind::Prompt, name)) => shown(name),
            _ => String::new(),
        };
        let fields = [
            ("request_id", request_id.into()),
            ("channel", channel.into()),
            ("rule", rule.into()),
            ("method", shown(&decision.method).into()),
            ("name", name.into()),
            ("reason", why.into()),
        ];
        self.log.warn("policy", message, &fields);
    }

    /// Takes off what the policy does not let reach a server.
    fn narrow(&self, headers: &mut HeaderMap) {
        let Some(allowed) = self.policy.headers.request.as_ref().filter(|_| self.enforces()) else { return };
        let kept = |name: &str| {
            ALWAYS.contains(&name) || name.starts_with("mcp-param-") || allowed.iter().any(|a| a == name)
        };
        let gone: Vec<_> = headers.keys().filter(|name| !kept(name.as_str())).cloned().collect();
        for name in gone {
            headers.remove(name);
        }
    }

    /// Takes off what the policy does not let leave. The body's type always does.
    fn narrow_answer(&self, headers: &mut HeaderMap) {
        let Some(allowed) = self.policy.headers.answer.as_ref().filter(|_| self.enforces()) else { return };
        let kept = |name: &str| name == "content-type" || allowed.iter().any(|a| a == name);
        let gone: Vec<_> = headers.keys().filter(|name| !kept(name.as_str())).cloned().collect();
        for name in gone {
            headers.remove(name);
        }
    }
}

impl Pass {
    /// The rule that would have refused the call if the policy did more than monitor.
    #[must_use]
    pub fn monitored(&self) -> Option<&str> {
        self.0.as_ref()?.monitored.as_deref()
    }

    /// The rule for which the caller gets an error in the place of the server's answer.
    #[must_use]
    pub fn refused(&self) -> Option<&'static str> {
        self.0.as_ref()?.refused.get().copied()
    }

    fn refuse(&self, rule: &'static str) -> &'static str {
        self.0.as_ref().map_or(rule, |allowed| *allowed.refused.get_or_init(|| rule))
    }

    /// Whether the definition of the tool that is called is the approved one; `None` when it was not seen yet. `Some(true)`
    /// also where that does not matter.
    #[must_use]
    pub fn is_approved(&self) -> Option<bool> {
        let Some(Allowed { inner, channel, pinned: Some(tool), .. }) = &self.0 else { return Some(true) };
        inner.state().is_approved(&inner.policy, channel, tool)
    }

    /// Looks at a page of the server's tools, of which nothing is passed on. The cursor of the next page.
    #[must_use]
    pub fn look(&self, page: &[u8]) -> Option<String> {
        let Allowed { inner, channel, .. } = self.0.as_ref()?;
        inner.policy.filter(&mut inner.state(), channel, List::Tools, page).ok()?.next
    }

    /// The rule that refuses the call after all, and the log says why.
    #[must_use]
    pub fn refused_as_drifted(&self) -> &'static str {
        self.say("a call of a tool whose definition is not the approved one is refused", builtin::DRIFT);
        self.refuse(builtin::DRIFT)
    }

    /// The answer as it may leave: filtered, or an error in its place. `id` is the request's.
    #[must_use]
    pub fn answer(&self, mut answer: Answer, id: Option<&str>) -> Answer {
        let Some(Allowed { inner, .. }) = &self.0 else { return answer };
        inner.narrow_answer(&mut answer.headers);
        // A failure of our own has nothing to filter.
        let Some(body) = answer.body.as_ref().filter(|_| answer.failure.is_none()) else { return answer };
        match self.body(body) {
            Ok(None) => answer,
            Ok(Some(filtered)) => Answer { body: Some(filtered), ..answer },
            Err(rule) => {
                let reply = answers::refused(id, self.refuse(rule));
                Answer { code: reply.code, headers: reply.headers, body: reply.body, failure: None }
            }
        }
    }

    /// A notification as it may leave; `None` when it may not.
    #[must_use]
    pub fn note(&self, mut note: Note) -> Option<Note> {
        let Some(Allowed { inner, channel, result_bytes, .. }) = &self.0 else { return Some(note) };
        inner.narrow_answer(&mut note.headers);
        if note.body.len() < CHANGED_BYTES && note.body.windows(CHANGED.len()).any(|part| part == CHANGED) {
            inner.state().forget(&inner.policy, channel);
        }
        let over = result_bytes.is_some_and(|most| note.body.len() > most);
        if over {
            self.say("a notification is larger than the call policy allows", builtin::RESULT_BYTES);
        }
        (!over || !inner.enforces()).then_some(note)
    }

    /// The new body, when something was taken out; the error is the rule to answer with.
    fn body(&self, body: &Bytes) -> Result<Option<Bytes>, &'static str> {
        let Some(Allowed { inner, channel, list, result_bytes, .. }) = &self.0 else { return Ok(None) };
        let enforced = |rule| if inner.enforces() { Err(rule) } else { Ok(None) };
        if result_bytes.is_some_and(|most| body.len() > most) {
            self.say("an answer is larger than the call policy allows", builtin::RESULT_BYTES);
            return enforced(builtin::RESULT_BYTES);
        }
        let Some(list) = list else { return Ok(None) };
        let found = inner.policy.filter(&mut inner.state(), channel, *list, body);
        match found {
            Err(rule) => {
                self.say("an answer that the call policy cannot filter", rule);
                enforced(rule)
            }
            Ok(filtered) => {
                for tool in &filtered.drifted {
                    let fields = [("channel", channel.into()), ("tool", shown(tool).into())];
                    inner.log.warn("policy", "the definition of a tool is not the approved one", &fields);
                }
                if filtered.hidden > 0 {
                    let fields = [("channel", channel.into()), ("hidden", filtered.hidden.into())];
                    inner.log.debug("policy", "a list holds more than may be called", &fields);
                }
                Ok(filtered.body.filter(|_| inner.enforces()).map(Bytes::from))
            }
        }
    }

    fn say(&self, message: &'static str, rule: &'static str) {
        if let Some(Allowed { inner, channel, .. }) = &self.0 {
            inner.log.warn("policy", message, &[("channel", channel.into()), ("rule", rule.into())]);
        }
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        self.inner.state().release(std::mem::take(&mut self.ticket));
    }
}

/// A name that a peer chose, for the log.
fn shown(name: &str) -> String {
    name.chars().take(SHOWN).collect()
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
