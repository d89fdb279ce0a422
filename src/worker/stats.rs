//! The worker's hand on the figures: counted where things happen, read when somebody asks. Worker only.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::control::poll::Class;
use crate::control::wire::Item;
use crate::health::figures::{End, Figures, Labels, MAX_LOOK, OTHER, known_method, shown};
use crate::mcp::jsonrpc::{Message, members};

/// All figures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    figures: Mutex<Figures>,
    began: Instant,
}

/// What is counted of a command when it has ended.
#[derive(Clone, Debug)]
pub struct Tally {
    received: Instant,
    taken: Instant,
    /// What it is.
    pub kind: &'static str,
    /// How its answer came to be.
    pub outcome: &'static str,
    /// The agent made the answer up.
    pub failed: bool,
    known: &'static str,
    shown: Cow<'static, str>,
    name: Option<String>,
}

impl Tally {
    /// Of a command that a poll brought at `received`, and that is being taken on.
    #[must_use]
    pub fn new(kind: &'static str, received: Instant) -> Self {
        Self {
            received,
            taken: Instant::now(),
            kind,
            outcome: "answered",
            failed: false,
            known: OTHER,
            shown: Cow::Borrowed(""),
            name: None,
        }
    }

    /// The same with another outcome.
    #[must_use]
    pub fn with(self, outcome: &'static str) -> Self {
        Self { outcome, ..self }
    }

    /// It is this message.
    pub fn is(&mut self, message: &Message) {
        if message.id().is_none() {
            self.kind = "notification";
        }
        self.known = known_method(message.method());
        self.shown = if self.known == OTHER { shown(message.method()).into() } else { self.known.into() };
        // Names stand at the front of short messages; a long one is not read for it.
        let short = message.params().filter(|params| params.len() <= MAX_LOOK);
        let raw = short.and_then(|params| members(params, ["name"])).and_then(|found| found.values[0]);
        let name = raw.and_then(|raw| serde_json::from_str::<String>(raw).ok());
        self.name = name.map(|name| shown(&name));
    }
}

impl Stats {
    /// Of these channels.
    pub fn new(channels: impl IntoIterator<Item = String>) -> Self {
        Self(Arc::new(Inner { figures: Mutex::new(Figures::new(channels)), began: Instant::now() }))
    }

    /// Them.
    pub fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when they are counted.
    #[must_use]
    pub fn since(&self) -> Duration {
        self.0.began.elapsed()
    }

    /// A poll has brought these commands.
    pub fn polled(&self, took: Duration, commands: &[Item]) {
        let now = SystemTime::now();
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut f = self.lock();
        f.cycles = f.cycles.saturating_add(1);
        f.polled = f.polled.saturating_add(u64::try_from(commands.len()).unwrap_or(u64::MAX));
        f.last_poll = Some(now);
        for created in commands.iter().filter_map(created) {
            // One from the future, by this clock, is new.
            f.ages.add(since_1970.saturating_sub(created));
        }
        f.poll_took[0].add(took);
        f.http[0].add(took);
    }

    /// A poll has failed; `None`: it was cut off on the way.
    pub fn poll_failed(&self, took: Duration, class: Option<Class>) {
        let mut f = self.lock();
        f.cycles = f.cycles.saturating_add(1);
        f.poll_took[1].add(took);
        let [timeout, _, other] = &mut f.poll_errors;
        let count = if class == Some(Class::Timeout) { timeout } else { other };
        *count = count.saturating_add(1);
    }

    /// Counts one more of something.
    pub fn count(&self, what: fn(&mut Figures) -> &mut u64) {
        let mut figures = self.lock();
        let count = what(&mut figures);
        *count = count.saturating_add(1);
    }

    /// The call policy refuses a command for a channel.
    pub fn denied(&self, channel: &str) {
        let mut f = self.lock();
        f.verdicts[1] = f.verdicts[1].saturating_add(1);
        let place = f.place(channel);
        if let Some(channel) = place.and_then(|place| f.channels.get_mut(place)) {
            channel.denied = channel.denied.saturating_add(1);
        }
    }

    /// A command of this channel has ended so. `posted`: how long its answer was on the way.
    pub fn ended(&self, tally: &Tally, channel: &str, status: &'static str, posted: Option<Duration>) {
        let mut f = self.lock();
        if let Some(posted) = posted {
            f.http[1].add(posted);
        }
        let labels = Labels { kind: tally.kind, method: tally.known, channel: f.place(channel), status };
        let took = [tally.taken.elapsed(), tally.received.elapsed()];
        let outcome = match status {
            "200" | "404" => tally.outcome,
            other => other,
        };
        let (shown, name) = (tally.shown.clone().into_owned(), tally.name.clone());
        f.ended(End { labels, took, failed: tally.failed, shown, name, outcome }, self.since());
    }
}

/// When the control plane made a command, since 1970.
fn created(item: &Item) -> Option<Duration> {
    match item {
        Item::Command(command) => command.created_ms.map(Duration::from_millis),
        _ => None,
    }
}
