//! What a worker has counted since it began: the figures behind the metrics and the status. Pure.
//!
//! Everything in it is bounded: channels are those of the configuration, methods those that are known, and no text that a
//! peer sends becomes a name of anything here.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

use super::histogram::Histogram;

/// Sets of labels that the ends of commands are counted under at most; further ones are counted without their method.
const MAX_SETS: usize = 512;
/// Calls that are remembered for a person to look at.
const RECENT: usize = 20;
/// Characters of a name that a peer chose.
const MAX_NAME: usize = 64;
/// The longest message whose name is looked for.
pub const MAX_LOOK: usize = 4096;

/// The methods of MCP; every other one is `other`.
const METHODS: [&str; 25] = [
    "completion/complete",
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/message",
    "notifications/progress",
    "notifications/roots/list_changed",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
];
/// What stands for every other one.
pub const OTHER: &str = "other";

/// The name that a method is counted under.
#[must_use]
pub fn known_method(method: &str) -> &'static str {
    METHODS.iter().find(|known| **known == method).copied().unwrap_or(OTHER)
}

/// A name that a peer chose, as it may be shown: short, and without anything that a terminal would obey.
#[must_use]
pub fn shown(name: &str) -> String {
    name.chars().take(MAX_NAME).flat_map(char::escape_debug).collect()
}

/// What the ends of commands are told apart by. Places of channels count in [`Figures::channels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// `call`, `notification`, `session_termination` or `oauth_discovery`.
    pub kind: &'static str,
    /// One of the known ones, or [`OTHER`].
    pub method: &'static str,
    /// The channel; `None` is none of the configured ones.
    pub channel: Option<usize>,
    /// What the control plane made of the answer.
    pub status: &'static str,
}

/// A channel.
#[derive(Clone, Debug, Default)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Calls that have ended.
    pub calls: u64,
    /// Those of them that the agent answered with a failure of its own.
    pub errors: u64,
    /// Commands that the call policy refused.
    pub denied: u64,
    /// How long the calls took, from the poll that brought them.
    pub took: Histogram,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct Recent {
    /// When.
    pub at: SystemTime,
    /// Its channel.
    pub channel: Option<usize>,
    /// Its method, as it may be shown.
    pub method: String,
    /// The tool, prompt or resource, likewise.
    pub name: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
    /// How long it took.
    pub ms: u64,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Commands that polls brought, and those of them that were taken on.
    pub polled: u64,
    /// See there.
    pub enqueued: u64,
    /// How old they were when they came.
    pub ages: Histogram,
    /// Polls that have ended.
    pub cycles: u64,
    /// How long polls took that succeeded, and that did not.
    pub poll_took: [Histogram; 2],
    /// Polls that failed: at their deadline, because they were stopped, otherwise.
    pub poll_errors: [u64; 3],
    /// Commands that could not be answered, and those whose deadline had passed.
    pub drops: [u64; 2],
    /// When the last poll succeeded.
    pub last_poll: Option<SystemTime>,
    /// Commands for channels that are not configured: calls, terminations, discoveries.
    pub unsupported: [u64; 3],
    /// Decisions about commands: allowed, denied, allowed although the policy would refuse them.
    pub verdicts: [u64; 3],
    /// How long requests took: polls, posts of answers, requests to MCP servers.
    pub http: [Histogram; 3],
    /// The ends of commands, from when they were taken on and from when their poll ended.
    pub ends: BTreeMap<Labels, [Histogram; 2]>,
    /// The configured channels.
    pub channels: Vec<Channel>,
    /// The last calls, the newest last.
    pub recent: VecDeque<Recent>,
    /// Calls that ended in each of the last 60 seconds: the second, and how many.
    minute: Vec<(u64, u64)>,
}

/// One end, with all that is counted of it.
#[derive(Clone, Debug)]
pub struct End {
    /// What it is counted under.
    pub labels: Labels,
    /// From when it was taken on, and from when its poll ended.
    pub took: [Duration; 2],
    /// The agent made the answer up.
    pub failed: bool,
    /// The method as it may be shown.
    pub shown: String,
    /// The name, likewise.
    pub name: Option<String>,
    /// How it ended.
    pub outcome: &'static str,
}

impl Figures {
    /// Of these channels.
    pub fn new(channels: impl IntoIterator<Item = String>) -> Self {
        let channels = channels.into_iter().map(|name| Channel { name, ..Channel::default() }).collect();
        let minute = vec![(0, 0); 60];
        Self { channels, minute, ..Self::default() }
    }

    /// The place of a channel.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|channel| channel.name == name)
    }

    /// A command has ended, `since` the worker began.
    pub fn ended(&mut self, end: End, since: Duration) {
        let End { mut labels, took, failed, shown, name, outcome } = end;
        if self.ends.len() >= MAX_SETS && !self.ends.contains_key(&labels) {
            labels.method = OTHER;
        }
        let counted = self.ends.entry(labels).or_default();
        counted.iter_mut().zip(took).for_each(|(times, took)| times.add(took));
        if let Some(channel) = labels.channel.and_then(|place| self.channels.get_mut(place)) {
            channel.calls = channel.calls.saturating_add(1);
            channel.errors = channel.errors.saturating_add(u64::from(failed));
            channel.took.add(took[1]);
        }
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        let (at, channel) = (SystemTime::now(), labels.channel);
        let ms = u64::try_from(took[1].as_millis()).unwrap_or(u64::MAX);
        self.recent.push_back(Recent { at, channel, method: shown, name, outcome, ms });
        let second = since.as_secs();
        if let Some(place) = self.minute.get_mut(usize::try_from(second % 60).unwrap_or_default()) {
            let before = if place.0 == second { place.1 } else { 0 };
            *place = (second, before.saturating_add(1));
        }
    }

    /// Calls that ended in the last minute.
    #[must_use]
    pub fn per_minute(&self, since: Duration) -> u64 {
        let oldest = since.as_secs().saturating_sub(59);
        self.minute.iter().filter(|(second, _)| *second >= oldest).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
#[path = "figures_tests.rs"]
mod tests;
