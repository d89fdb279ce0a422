//! Whether the HTTP MCP servers can be reached: from the last call, and where there was none for a while, by a connection
//! on which nothing is said. Worker only. A change is told to the broker; the state of stdio servers is its own to know.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::drain::Drain;
use super::lane::{Lane, Lanes};
use super::link::Link;
use crate::config::types::Channel;
use crate::health::ready::WAIT_FAILED;
use crate::ipc::msg::{FromWorker, MAX_REACH};
use crate::log::Log;
use crate::mcp::Upstream;
use crate::mcp::failure::{Failure, Source};
use crate::net::{self, Cause};

/// Without a call for so long, it is tried.
const QUIET: Duration = Duration::from_secs(60);
/// One that could not be reached is tried sooner: it may be back, and nobody calls while we are not ready.
const AGAIN: Duration = Duration::from_secs(5);
/// Changes are told at most so often, whatever the calls make of it.
const PACE: Duration = Duration::from_millis(250);
/// What a wait without an end that can be told is.
const DAY: Duration = Duration::from_secs(86_400);
/// Pauses between the attempts of the wait at the start: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// What is known of one server.
#[derive(Debug, Default)]
pub struct Reach(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When that was learnt.
    at: Option<Instant>,
    /// `Some(None)`: it can be reached.
    now: Option<Option<String>>,
    told: Option<Option<String>>,
    trying: bool,
    /// It did not come in the time that it was given at the start, and has not come since.
    overdue: bool,
    /// Waits for news.
    watcher: Option<Arc<Notify>>,
}

impl Reach {
    fn with<T>(&self, what: impl FnOnce(&mut Known) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call has ended, with this failure of ours or an answer.
    pub fn note(&self, failure: Option<&Failure>) {
        match failure {
            Some(f) if matches!(f.source, Source::Dns | Source::Connect | Source::Tls) && !f.received => {
                self.learn(Some(f.kind.map_or("no connection", |kind| kind.name()).replace('_', " ")));
            }
            // It went away in mid-call: for good, or not.
            Some(f) if matches!(f.source, Source::TransportClosed) && !f.received => {
                self.with(|known| known.at = None);
                self.wake();
            }
            Some(f) if !f.received => {}
            _ => self.learn(None),
        }
    }

    fn learn(&self, reason: Option<String>) {
        let is_news = self.with(|known| {
            known.at = Some(Instant::now());
            known.overdue &= reason.is_some();
            let reason = if known.overdue { reason.map(|why| format!("{WAIT_FAILED}{why}")) } else { reason };
            let reason = Some(reason);
            let is_news = known.now != reason;
            known.now = reason;
            is_news
        });
        if is_news {
            self.wake();
        }
    }

    fn wake(&self) {
        let watcher = self.with(|known| known.watcher.clone());
        watcher.into_iter().for_each(|watcher| watcher.notify_one());
    }

    /// When it is to be tried; `now`, if nothing is known of it.
    fn due(&self, now: Instant) -> Option<Instant> {
        self.with(|known| {
            let pace = if matches!(known.now, Some(Some(_))) { AGAIN } else { QUIET };
            (!known.trying).then(|| known.at.map_or(now, |at| at + pace))
        })
    }

    /// What the broker does not know yet.
    fn news(&self) -> Option<Option<String>> {
        self.with(|known| {
            if known.now == known.told {
                return None;
            }
            known.told.clone_from(&known.now);
            known.now.clone()
        })
    }
}

/// Waits at the start until the HTTP server of the channel `main` can be connected to: nothing is fetched for it before.
/// Only one that is not there is waited for; any other trouble will not end by itself. After `wait` it is not waited for
/// any longer, and the reason not to be ready says so.
pub async fn wait_for_main(lanes: &Lanes, wait: Duration, drain: &Drain, log: &Log) {
    let is_main = |lane: &&Arc<Lane>| {
        lane.channel == Channel::main() && matches!(lane.upstream, Upstream::Http(_)) && !wait.is_zero()
    };
    let Some(lane) = lanes.iter().find(is_main) else { return };
    log.info("mcpclient", "waiting for the mcp server", &[("most_ms", wait.as_millis().into())]);
    let began = Instant::now();
    let until = began.checked_add(wait).unwrap_or(began + DAY);
    let [mut pause, longest] = PAUSES;
    loop {
        let tried = tokio::select! {
            tried = timeout_at(until, lane.upstream.touch()) => tried,
            () = drain.begun() => return,
        };
        let why = match tried {
            Ok(Ok(())) => return lane.reach.learn(None),
            Ok(Err(error)) if !is_absent(&error) => return lane.reach.learn(Some(error.to_string())),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "timeout".into(),
        };
        if Instant::now() >= until {
            log.warn(
                "mcpclient",
                "mcp startup wait failed; polling begins",
                &[("error", why.clone().into())],
            );
            lane.reach.with(|known| known.overdue = true);
            return lane.reach.learn(Some(why));
        }
        lane.reach.learn(Some(why));
        tokio::select! {
            () = sleep_until(until.min(Instant::now() + pause)) => {}
            () = drain.begun() => return,
        }
        pause = longest.min(pause * 2);
    }
}

/// Whether nobody listens yet: connection refused, or no such socket.
fn is_absent(error: &net::Error) -> bool {
    matches!(error.cause, Cause::Refused | Cause::Dial)
}

/// Tries what is due and tells what has changed, until the drain order.
pub async fn watch(lanes: Arc<Lanes>, link: Link, drain: Drain) {
    let watched: Vec<(u8, Arc<Lane>)> = (0_u8..)
        .zip(lanes.iter().cloned())
        .filter(|(_, lane)| matches!(lane.upstream, Upstream::Http(_)))
        .collect();
    if watched.is_empty() {
        return;
    }
    let changed = Arc::new(Notify::new());
    watched.iter().for_each(|(_, lane)| lane.reach.with(|known| known.watcher = Some(Arc::clone(&changed))));
    while !drain.ordered() {
        let now = Instant::now();
        let mut next = now + QUIET;
        for (binding, lane) in &watched {
            match lane.reach.due(now) {
                Some(at) if at <= now => {
                    lane.reach.with(|known| known.trying = true);
                    tokio::spawn(attempt(Arc::clone(lane)));
                }
                Some(at) => next = next.min(at),
                None => {}
            }
            if let Some(reason) = lane.reach.news() {
                link.tell(FromWorker::Reach { binding: *binding, reason: reason.map(short) });
            }
        }
        tokio::select! {
            () = async { changed.notified().await; sleep(PACE).await } => {}
            () = sleep_until(next) => {}
            () = drain.begun() => {}
        }
    }
}

async fn attempt(lane: Arc<Lane>) {
    let began = Instant::now();
    let found = lane.upstream.touch().await;
    // A call that has ended meanwhile knows better.
    let newer = lane.reach.with(|known| {
        known.trying = false;
        known.at.is_some_and(|at| at > began)
    });
    if !newer {
        lane.reach.learn(found.err().map(|error| error.to_string()));
    }
    lane.reach.wake();
}

/// As the broker takes it.
fn short(text: String) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = (0..=text.len().min(MAX_REACH)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "reach_tests.rs"]
mod tests;
