//! One turn of the poll loop: poll, judge, say how long to wait. Worker only.
//!
//! The loop itself, its sleeping and its stopping belong to the caller, who may drop a turn at any time.

use std::time::Duration;

use super::backoff::{self, Backoff};
use tokio::time::Instant;

use super::client::{Client, MAX_LIMIT, Polled};
use super::cuts::{Cut, Cuts};
use super::failure::Failure;
use super::{COMPONENT, random};
use crate::config::types::Channel;
use crate::ipc::msg::Trouble as Kind;
use crate::net;

/// The longest reason that is given, in bytes.
const MAX_REASON: usize = 512;

/// Polls and remembers how that went.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    backoff: Backoff,
    cuts: Cuts,
    /// That polls are cut off has been said.
    told: bool,
}

/// What a turn gave.
#[derive(Debug)]
pub enum Turn {
    /// Commands, or none; poll again at once.
    Batch(Polled),
    /// The connection ended under a poll as it does behind many proxies; poll again at once.
    Cut,
    /// Wait, then poll again.
    Failed(Trouble),
}

/// A poll that failed. It has been logged.
#[derive(Debug)]
pub struct Trouble {
    /// How long not to poll.
    pub wait: Duration,
    /// Why, in one sentence of at most 512 bytes without secrets.
    pub reason: String,
    /// What it is about.
    pub class: Class,
    /// The same, as the broker is told.
    pub kind: Kind,
    /// Commands that could be read from a body that was cut off or broken; they are to be executed like others.
    pub rescued: Option<Polled>,
}

/// What a failed poll is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// There was no response.
    Transport,
    /// The deadline passed.
    Timeout,
    /// An unexpected status.
    Status,
    /// 401 or 403: the control plane does not accept who we are.
    Refused,
    /// The peer is not the control plane that the operator pinned.
    Pin,
    /// The body is broken.
    Body,
}

impl Poller {
    /// Nothing has been polled yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, backoff: Backoff::default(), cuts: Cuts::default(), told: false }
    }

    /// How long a poll that asks for `timeout` takes at most.
    #[must_use]
    pub fn deadline_of(&self, timeout: Duration) -> Duration {
        self.client.deadline_of(timeout)
    }

    /// Polls once. Failures in a row make the waits longer; a success ends the row.
    pub async fn next(&mut self, limit: usize, timeout: Duration, channels: Option<&[Channel]>) -> Turn {
        let began = Instant::now();
        let timeout = self.cuts.limit(timeout, began);
        match self.client.poll(limit, timeout, channels).await {
            Ok(polled) => match polled.batch.cut {
                None => {
                    self.succeeded(limit, &polled, began.elapsed());
                    Turn::Batch(polled)
                }
                Some(why) => {
                    let rescued = Some(polled).filter(|p| !p.batch.items.is_empty());
                    self.failed(&Failure::Body(why), timeout, rescued)
                }
            },
            Err(failure) => match self.cut(&failure, began) {
                Some(cut) => self.reconnect(cut, began.elapsed()),
                None => self.failed(&failure, timeout, None),
            },
        }
    }

    /// Whether the failure is one of a connection that was cut off under a poll.
    fn cut(&mut self, failure: &Failure, began: Instant) -> Option<Cut> {
        use net::Cause;
        let Failure::Transport(error) = failure else { return None };
        let ended = match error.cause {
            Cause::Reset
            | Cause::Aborted
            | Cause::ClosedPipe
            | Cause::Eof
            | Cause::UnexpectedEof
            | Cause::ConnectionClosed => error.sent && error.phase == net::Phase::Exchange,
            _ => false,
        };
        if ended { self.cuts.cut(began.elapsed(), Instant::now()) } else { None }
    }

    fn reconnect(&mut self, cut: Cut, age: Duration) -> Turn {
        let log = self.client.log();
        let fields = [("after_ms", age.as_millis().into())];
        match cut {
            Cut::First if !std::mem::replace(&mut self.told, true) => {
                log.info(COMPONENT, "poll was cut off on the way; polling again at once", &fields);
            }
            Cut::First | Cut::Again => log.debug(COMPONENT, "poll was cut off on the way", &fields),
            Cut::Bounded(bound) => {
                let fields = [("after_ms", age.as_millis().into()), ("timeout_ms", bound.as_millis().into())];
                log.info(COMPONENT, "polls are cut off regularly; asking for shorter ones", &fields);
            }
        }
        Turn::Cut
    }

    fn succeeded(&mut self, limit: usize, polled: &Polled, age: Duration) {
        let log = self.client.log();
        if self.cuts.succeeded(age) {
            log.info(COMPONENT, "polls are no longer cut off; asking for long ones again", &[]);
        }
        if self.backoff.reset() {
            log.info(COMPONENT, "poller recovered; polling operational", &[]);
        }
        let limit = limit.clamp(1, MAX_LIMIT);
        if polled.batch.items.len() > limit {
            log.error(
                COMPONENT,
                "poll brought more commands than asked for",
                &[("limit", limit.into()), ("commands", polled.batch.items.len().into())],
            );
        }
    }

    fn failed(&mut self, failure: &Failure, timeout: Duration, rescued: Option<Polled>) -> Turn {
        let class = classify(failure);
        self.cuts.failed();
        let pace = match class {
            Class::Refused | Class::Pin => backoff::Class::Refused,
            Class::Transport | Class::Timeout | Class::Status | Class::Body => backoff::Class::Ordinary,
        };
        let wait = self.backoff.next(pace, failure.retry_after(), random::up_to);
        let mut fields = failure.fields();
        fields.push(("retry_in_ms", wait.as_millis().into()));
        fields
            .push(("tunnel_request_id", failure.tunnel_request_id().unwrap_or("missing_request_id").into()));
        if let Some(rescued) = &rescued {
            fields.push(("commands_rescued", rescued.batch.items.len().into()));
        }
        let message = if class == Class::Timeout {
            fields.push(("poll_timeout_ms", timeout.as_millis().into()));
            fields.push(("poll_deadline_ms", self.client.deadline_of(timeout).as_millis().into()));
            "poll timed out; backing off"
        } else {
            "poll failed; backing off"
        };
        self.client.log().warn(COMPONENT, message, &fields);
        Turn::Failed(Trouble { wait, reason: reason(failure), class, kind: kind(failure), rescued })
    }
}

fn classify(failure: &Failure) -> Class {
    match failure {
        Failure::Timeout => Class::Timeout,
        Failure::Transport(_) if failure.is_pin() => Class::Pin,
        Failure::Transport(_) | Failure::Request => Class::Transport,
        Failure::Status(e) if e.is_refused() => Class::Refused,
        Failure::Status(_) => Class::Status,
        Failure::Body(_) => Class::Body,
    }
}

fn kind(failure: &Failure) -> Kind {
    match failure {
        Failure::Timeout | Failure::Request => Kind::Network,
        Failure::Transport(_) if failure.is_pin() => Kind::Pin,
        Failure::Transport(e) if e.phase == net::Phase::Proxy => Kind::Proxy,
        Failure::Transport(e) if e.cause == net::Cause::Tls => Kind::Tls,
        Failure::Transport(_) => Kind::Network,
        Failure::Status(e) => match e.status.as_u16() {
            401 => Kind::Unauthorized,
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            _ => Kind::Answer,
        },
        Failure::Body(_) => Kind::Answer,
    }
}

fn reason(failure: &Failure) -> String {
    let mut text = if failure.is_pin() { failure.to_string() } else { format!("poll failed: {failure}") };
    let end = (0..=MAX_REASON).rev().find(|n| text.is_char_boundary(*n)).unwrap_or_default();
    text.truncate(end);
    text
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
