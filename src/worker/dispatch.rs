//! Takes polled commands apart, asks the broker for permission, and starts what is permitted. Worker only.
//!
//! Nothing is forwarded from here without a `Permit`; everything that can be answered without forwarding is
//! answered at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::about;
use super::answers;
use super::call::{Carrier, Forward, Job, Reply};
use super::guard::{Guard, Pass};
use super::lane::{Lanes, Waiting};
use super::link::Link;
use super::stats::Tally;
use crate::control::client::Polled;
use crate::control::wire::{Command, Item, Kind, Malformed};
use crate::ipc::msg::{Answer, Ask, CallKind, Denied, FromWorker, Outcome, Verdict};
use crate::log::Log;
use crate::mcp::{headers, jsonrpc};

/// A command that waits for the broker's verdict.
#[derive(Debug)]
struct Asked {
    job: Job,
    forward: Forward,
    waiting: Waiting,
}

/// The dispatcher.
#[derive(Debug)]
pub struct Dispatch {
    lanes: Arc<Lanes>,
    guard: Guard,
    carrier: Arc<Carrier>,
    link: Link,
    log: Log,
    asked: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    last: u64,
    waiting: HashMap<u64, Asked>,
}

impl Dispatch {
    /// A dispatcher that hands permitted commands to `carrier`.
    #[must_use]
    pub fn new(lanes: Arc<Lanes>, guard: Guard, carrier: Arc<Carrier>, link: Link, log: Log) -> Self {
        Self { lanes, guard, carrier, link, log, asked: Mutex::default() }
    }

    /// Takes everything a poll brought.
    pub fn accept(&self, polled: Polled) {
        for item in polled.batch.items {
            match item {
                Item::Command(command) => self.command(command, polled.received),
                Item::Malformed(malformed) => self.malformed(malformed, polled.received),
                Item::Dropped(why) => {
                    self.carrier.stats().count(|f| &mut f.drops[0]);
                    self.log.warn("dispatcher", "control-plane command dropped", &[("reason", why.into())]);
                }
            }
        }
    }

    /// One well-formed command.
    fn command(&self, command: Command, received: Instant) {
        let deadline = command.timeout.and_then(|t| received.checked_add(t));
        if deadline.is_some_and(|d| d <= Instant::now()) {
            let fields = [("request_id", (&command.request_id).into())];
            self.log.info("dispatcher", "dropping command whose response deadline has passed", &fields);
            self.carrier.stats().count(|f| &mut f.drops[1]);
            return;
        }
        let client_request_id = command.client_request_id().map(str::to_owned);
        let mut job = Job {
            call: 0,
            request_id: command.request_id,
            shard_token: command.shard_token,
            channel: command.channel,
            client_request_id,
            deadline,
            held: self.lanes.hold(command.size),
            counted: self.carrier.count(),
            pass: Pass::default(),
            tally: Tally::new(kind_of(&command.kind), received),
        };
        match self.routed(&mut job, &command.kind, &command.headers) {
            Err(reply) => self.reply(job, *reply),
            Ok((forward, waiting)) => {
                self.carrier.stats().count(|f| &mut f.enqueued);
                let mut ask = ask_for(&mut job, &forward, &self.asked);
                let rule = job.pass.monitored();
                ask.about = self.carrier.describes().then(|| Box::new(about::about(&forward, rule)));
                let asked = Asked { job, forward, waiting };
                self.asked.lock().unwrap_or_else(PoisonError::into_inner).waiting.insert(ask.call, asked);
                self.link.tell(FromWorker::Ask(ask));
            }
        }
    }

    /// Lets the broker record that the call policy refuses a command.
    fn denied(&self, job: &Job, message: Option<&jsonrpc::Message>, headers: &HeaderMap, rule: &str) {
        self.carrier.stats().denied(&job.channel);
        if !self.carrier.describes() {
            return;
        }
        let kind = match message {
            None => CallKind::Termination,
            Some(message) if message.id().is_some() => CallKind::Request,
            Some(_) => CallKind::Notification,
        };
        self.link.tell(FromWorker::Denied(Denied {
            request_id: job.request_id.clone(),
            channel: job.channel.clone(),
            kind,
            about: Box::new(about::about_parts(message, headers, Some(rule))),
        }));
    }

    /// Decides where a command goes; the error is the answer for one that goes nowhere.
    fn routed(
        &self,
        job: &mut Job,
        kind: &Kind,
        fields: &[(String, Vec<String>)],
    ) -> Result<(Forward, Waiting), Box<Reply>> {
        let message = match kind {
            Kind::Jsonrpc(raw) => Some(jsonrpc::parse(raw).map_err(|invalid| {
                self.say_malformed(&job.request_id, &invalid.to_string());
                Box::new(answers::invalid(&invalid))
            })?),
            Kind::OauthDiscovery | Kind::SessionTermination => None,
        };
        if let Some(message) = &message {
            job.tally.is(message);
        }
        job.tally.outcome = "refused";
        if let Some(reply) = answers::not_built(&job.channel, kind, message.as_ref()) {
            return Err(Box::new(reply));
        }
        let lane = self.lanes.get(&job.channel).filter(|_| !matches!(kind, Kind::OauthDiscovery));
        let Some(lane) = lane else {
            let fields = [("channel", (&job.channel).into()), ("request_id", (&job.request_id).into())];
            self.log.warn("dispatcher", "command for an unsupported channel", &fields);
            self.carrier.stats().count(match kind {
                Kind::Jsonrpc(_) => |f| &mut f.unsupported[0],
                Kind::SessionTermination => |f| &mut f.unsupported[1],
                Kind::OauthDiscovery => |f| &mut f.unsupported[2],
            });
            return Err(Box::new(answers::unsupported_channel(&job.channel, kind, message.as_ref())));
        };
        let id = message.as_ref().and_then(jsonrpc::Message::id);
        let mut headers: HeaderMap = headers::forwardable(fields).map_err(|problem| {
            self.say_malformed(&job.request_id, &problem.to_string());
            Box::new(answers::bad_headers(id, kind, &problem))
        })?;
        match &message {
            Some(message) => {
                let pass = self.guard.message(&job.request_id, &job.channel, message, &mut headers);
                job.pass = pass.map_err(|rule| {
                    job.tally.outcome = "denied";
                    self.denied(job, Some(message), &headers, &rule);
                    Box::new(answers::refused(id, &rule))
                })?;
            }
            None => {
                self.guard.termination(&job.channel, &mut headers).map_err(|rule| {
                    self.denied(job, None, &headers, &rule);
                    Box::new(answers::termination_refused())
                })?;
            }
        }
        job.tally.outcome = "answered";
        self.carrier.stats().count(match job.pass.monitored() {
            None => |f| &mut f.verdicts[0],
            Some(_) => |f| &mut f.verdicts[2],
        });
        let waiting = self.lanes.wait_in(lane);
        let lane = Arc::clone(lane);
        let forward = match message {
            Some(message) => Forward::Message { lane, message, headers },
            None => Forward::Termination { lane, headers },
        };
        Ok((forward, waiting))
    }

    /// The broker has decided.
    pub fn verdict(&self, call: u64, verdict: Verdict) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&call);
        let Some(Asked { mut job, forward, waiting }) = asked else {
            self.log.error("dispatcher", "verdict for an unknown call", &[("call", call.into())]);
            return;
        };
        match verdict {
            Verdict::Permit => self.carrier.start(job, forward, waiting),
            Verdict::Duplicate => {
                let fields = [("request_id", (&job.request_id).into())];
                self.log.warn("dispatcher", "command delivered twice; forwarded once", &fields);
            }
            Verdict::Refused => {
                let fields = [("request_id", (&job.request_id).into())];
                self.log.warn("dispatcher", "command refused, because it cannot be recorded", &fields);
                drop(waiting);
                job.call = 0;
                job.tally.outcome = "refused";
                self.reply(job, answers::in_doubt(forward.kind(), forward.rpc_id()));
            }
            Verdict::InDoubt => {
                let fields = [("request_id", (&job.request_id).into())];
                self.log.warn(
                    "dispatcher",
                    "command in doubt delivered again; answered with a failure",
                    &fields,
                );
                drop(waiting);
                // The broker holds permitted calls only: the end of another would be a breach.
                job.call = 0;
                job.tally.outcome = "in_doubt";
                self.reply(job, answers::in_doubt(forward.kind(), forward.rpc_id()));
            }
        }
    }

    /// A call that a dead worker held.
    pub fn orphan(&self, ask: Ask) {
        let reply = answers::in_doubt(ask.kind, ask.rpc_id.as_deref());
        let job = Job {
            call: ask.call,
            request_id: ask.request_id,
            shard_token: ask.shard_token,
            channel: ask.channel,
            client_request_id: None,
            deadline: ask.ttl_ms.and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms))),
            held: self.lanes.hold(0),
            counted: self.carrier.count(),
            pass: Pass::default(),
            tally: Tally::new("call", Instant::now()).with("in_doubt"),
        };
        self.reply(job, reply);
    }

    /// `why` is a text of ours, without anything that the peer sent.
    fn say_malformed(&self, request_id: &str, why: &str) {
        let fields = [("request_id", request_id.into()), ("error", why.into())];
        self.log.warn("dispatcher", "control-plane command answered as malformed", &fields);
    }

    /// A command whose ids could be read, but not the rest.
    fn malformed(&self, malformed: Malformed, received: Instant) {
        self.say_malformed(&malformed.request_id, malformed.message);
        let reply = answers::malformed(&malformed);
        let job = Job {
            call: 0,
            request_id: malformed.request_id,
            shard_token: malformed.shard_token,
            channel: malformed.channel,
            client_request_id: None,
            deadline: malformed.timeout.and_then(|t| received.checked_add(t)),
            held: self.lanes.hold(0),
            counted: self.carrier.count(),
            pass: Pass::default(),
            tally: Tally::new("call", received).with("malformed"),
        };
        self.reply(job, reply);
    }

    /// Posts an answer of the agent's own.
    fn reply(&self, job: Job, reply: Reply) {
        self.carrier.reply(job, reply, self.lanes.local_answer());
    }
}

/// What a command is counted as.
fn kind_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Jsonrpc(_) => "call",
        Kind::SessionTermination => "session_termination",
        Kind::OauthDiscovery => "oauth_discovery",
    }
}

/// Gives the job its number and says what the broker must know to permit it.
fn ask_for(job: &mut Job, forward: &Forward, calls: &Mutex<Calls>) -> Ask {
    let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.last = calls.last.saturating_add(1);
    job.call = calls.last;
    let left = job.deadline.map(|d| d.saturating_duration_since(Instant::now()));
    Ask {
        call: job.call,
        request_id: job.request_id.clone(),
        shard_token: job.shard_token.clone(),
        channel: job.channel.clone(),
        kind: forward.kind(),
        rpc_id: forward.rpc_id().map(str::to_owned),
        ttl_ms: left.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        about: None,
    }
}

/// The end of a call that the broker holds; it is booked there.
pub fn done(link: &Link, call: u64, outcome: Outcome, answer: Option<Answer>) {
    if call != 0 {
        link.tell(FromWorker::Done { call, outcome, answer });
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
mod tests;
