//! One turn of the poll loop: poll, judge, say how long to wait. Worker only.
//!
//! The loop itself, its sleeping and its stopping belong to the caller, who may drop a turn at any time.

use std::time::Duration;

use super::backoff::{self, Backoff};
use super::client::{Client, MAX_LIMIT, Polled};
use super::failure::Failure;
use super::{COMPONENT, random};
use crate::config::types::Channel;

/// The longest reason that is given, in bytes.
const MAX_REASON: usize = 512;

/// Polls and remembers how that went.
#[derive(Debug)]
pub struct Poller {
    client: Client,
    backoff: Backoff,
}

/// What a turn gave.
#[derive(Debug)]
pub enum Turn {
    /// Commands, or none; poll again at once.
    Batch(Polled),
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
        Self { client, backoff: Backoff::default() }
    }

    /// Polls once. Failures in a row make the waits longer; a success ends the row.
    pub async fn next(&mut self, limit: usize, timeout: Duration, channels: Option<&[Channel]>) -> Turn {
        match self.client.poll(limit, timeout, channels).await {
            Ok(polled) => match polled.batch.cut {
                None => {
                    self.succeeded(limit, &polled);
                    Turn::Batch(polled)
                }
                Some(why) => {
                    let rescued = Some(polled).filter(|p| !p.batch.items.is_empty());
                    self.failed(&Failure::Body(why), timeout, rescued)
                }
            },
            Err(failure) => self.failed(&failure, timeout, None),
        }
    }

    fn succeeded(&mut self, limit: usize, polled: &Polled) {
        let log = self.client.log();
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
        Turn::Failed(Trouble { wait, reason: reason(failure), class, rescued })
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

fn reason(failure: &Failure) -> String {
    let mut text = if failure.is_pin() { failure.to_string() } else { format!("poll failed: {failure}") };
    let end = (0..=MAX_REASON).rev().find(|n| text.is_char_boundary(*n)).unwrap_or_default();
    text.truncate(end);
    text
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
