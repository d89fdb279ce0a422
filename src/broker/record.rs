//! What of the broker's life becomes a record, and when the worker hears a verdict. Broker only.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Instant;

use aws_lc_rs::digest::{Context, SHA256};

use super::audit::{Audit, Committed, Found};
use super::handing::WorkerId;
use super::permit::Held;
use super::service::Broker;
use crate::audit::event::{Decided, Event, Finished, Start, short};
use crate::config::types;
use crate::confine::Sealed;
use crate::exit::Exit;
use crate::ipc::digest::hex;
use crate::ipc::msg::{About, Answer, Ask, CallKind, Denied, Outcome, Trouble, Verdict};
use crate::policy;

impl Broker {
    /// With an audit log, from the first thing that happens.
    pub fn recorded(mut self, sealed: &Sealed, (audit, found): (Audit, Found)) -> Self {
        self.audit = audit;
        self.children.record();
        let start = Start {
            version: env!("CARGO_PKG_VERSION"),
            instance: self.instance_id.clone(),
            pid: std::process::id(),
            tunnel: self.config.worker.control.tunnel_id.clone(),
            config_sha256: self.config.file_sha256.map(|digest| hex(&digest)),
            policy: policy_digest(&self.config.worker),
            continued: found.continued,
            torn_bytes: found.torn_bytes,
            missing: found.missing,
        };
        self.audit.push(|| Event::Start(Box::new(start)));
        let facts = sealed.facts();
        self.record_confinement("broker", facts.landlock, facts.filters);
        self
    }

    /// Queues what a process says that is enforced on it.
    pub(super) fn record_confinement(&mut self, role: &'static str, landlock_abi: u8, seccomp_filters: u8) {
        self.audit.push(|| Event::Confinement { role, landlock_abi, seccomp_filters });
    }

    /// Queues that a reload was used, or why it was not.
    pub(super) fn record_reload(&mut self, refused: Option<&str>) {
        let config_sha256 = self.config.file_sha256.map(|digest| hex(&digest));
        let refused = refused.map(short);
        let policy = self.policy.clone();
        self.audit.push(|| Event::Reload { refused, config_sha256, policy });
    }

    /// Polling works, or fails for a reason.
    pub(super) fn polled(&mut self, how: Result<(), (Trouble, String)>) {
        self.audit.poll(how.as_ref().err().map(|(_, reason)| reason.as_str()));
        if how.is_ok() {
            self.notify.ready();
        }
        self.truth.polled(how);
    }

    /// Queues the decision about a call, and the verdict behind it.
    pub(super) fn decided(&mut self, by: WorkerId, call: u64, verdict: Verdict, ask: Ask) {
        let name = if verdict == Verdict::Permit { self.audit.name() } else { None };
        if let (Some(name), Some(worker)) = (&name, self.workers.iter_mut().find(|w| w.id == by)) {
            worker.record(call, name.clone());
        }
        let decision = match verdict {
            Verdict::Permit => "permit",
            Verdict::Duplicate => "duplicate",
            Verdict::InDoubt => "in_doubt",
            Verdict::Refused => "refused",
        };
        let about = ask.about.map(|about| *about).unwrap_or_default();
        self.record_decision(name, decision, (ask.request_id, ask.channel, ask.kind), about);
        self.audit.defer(by, call, verdict);
    }

    /// Queues that the call policy refuses a command.
    pub(super) fn denied(&mut self, denied: Denied) {
        let Denied { request_id, channel, kind, about } = denied;
        self.record_decision(None, "deny", (request_id, channel, kind), *about);
    }

    fn record_decision(
        &mut self,
        call: Option<String>,
        decision: &'static str,
        (request_id, channel, kind): (String, String, CallKind),
        about: About,
    ) {
        if !self.audit.is_on() {
            return;
        }
        let decided = Decided {
            call,
            decision,
            request_id,
            channel,
            kind: match kind {
                CallKind::Request => "request",
                CallKind::Notification => "notification",
                CallKind::Termination => "termination",
            },
            method: about.method,
            name: about.name,
            rule: about.rule,
            session: about.session.and_then(|hex| self.audit.digest("session", &hex)),
            trace: about.trace,
            arguments: about.arguments.and_then(|hex| self.audit.digest("arguments", &hex)),
            argument_bytes: about.argument_bytes,
            request_bytes: about.request_bytes,
        };
        self.audit.push(|| Event::CallDecided(Box::new(decided)));
    }

    /// Queues the end of a call.
    pub(super) fn ended(&mut self, held: &Held, outcome: Outcome, answer: Option<Answer>, now: Instant) {
        let Some(call) = held.record() else { return };
        let digest = answer.as_ref().and_then(|a| a.sha256.as_deref());
        let finished = Finished {
            call: call.into(),
            request_id: held.request_id().into(),
            outcome: match outcome {
                Outcome::Answered => "answered",
                Outcome::Expired => "expired",
                Outcome::Undelivered => "undelivered",
            },
            in_doubt: held.was_inherited(),
            status: answer.as_ref().map(|a| a.code),
            result: digest.and_then(|hex| self.audit.digest("result", hex)),
            result_bytes: answer.as_ref().map(|a| a.bytes),
            rule: answer.as_ref().and_then(|a| a.rule.clone()),
            ms: u64::try_from(now.saturating_duration_since(held.since()).as_millis()).unwrap_or(u64::MAX),
        };
        self.audit.push(|| Event::CallFinished(Box::new(finished)));
    }

    /// Queues that a process ended.
    pub(super) fn record_exit(&mut self, role: &'static str, pid: u32, status: ExitStatus) {
        self.audit.push(|| exit(role, None, pid, status));
    }

    /// Queues that somebody did what is denied.
    pub(super) fn record_violation(&mut self, what: &str) {
        self.truth.violations = self.truth.violations.saturating_add(1);
        self.audit.push(|| Event::Violation { role: "worker", what: short(what) });
    }

    /// Commits what this turn brought, then lets the worker hear the verdicts.
    pub(super) fn commit(&mut self, now: Instant) {
        for event in self.children.happened() {
            self.audit.push(|| event);
        }
        let committed = self.audit.commit(now, &self.log);
        for (to, call, verdict) in self.audit.deferred() {
            let refused =
                matches!(committed, Committed::Refuse | Committed::Stop) && verdict == Verdict::Permit;
            let verdict = if refused { Verdict::Refused } else { verdict };
            // One that has died hears nothing; what it held is in doubt.
            if let Some(worker) = self.workers.iter_mut().find(|worker| worker.id == to) {
                worker.answer(call, verdict, &mut self.window, &self.log);
            }
        }
        match committed {
            Committed::Yes | Committed::Again | Committed::Continue | Committed::Refuse => {}
            Committed::Stop if self.stopping.is_none() => {
                self.begin_stop("stopping: the audit log cannot be written", Exit::CantCreate);
                self.drain_all(now);
            }
            Committed::Stop => {}
        }
    }
}

/// The digest of the call policy, or `none`.
pub(super) fn policy_digest(config: &types::Worker) -> String {
    let policy = config.policy.as_deref().and_then(|text| policy::load(text, None).ok());
    policy.map_or_else(|| "none".into(), |policy| policy.digest)
}

/// An MCP server runs.
pub fn started(command: &types::Command, pid: u32) -> Event {
    let program_sha256 = command.argv.first().and_then(|program| program_digest(program));
    Event::ChildStart { role: "mcp", channel: Some(command.channel.to_string()), pid, program_sha256 }
}

/// An MCP server ended.
pub fn ended(command: &types::Command, pid: u32, status: ExitStatus) -> Event {
    exit("mcp", Some(command.channel.to_string()), pid, status)
}

fn exit(role: &'static str, channel: Option<String>, pid: u32, status: ExitStatus) -> Event {
    Event::ChildExit { role, channel, pid, exit_code: status.code(), signal: status.signal() }
}

/// SHA-256 of a program; `None` when it cannot be read.
fn program_digest(path: &str) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece).ok()? {
            0 => return Some(hex(context.finish().as_ref())),
            n => context.update(piece.get(..n)?),
        }
    }
}
