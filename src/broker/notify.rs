//! What the service manager is told: ready, status, stopping, and "not yet, but alive". Broker only.
//!
//! The messages are those of `sd_notify(3)`. They are sent from here, not by the crate that renders them, because
//! its sending reads the environment, waits on a full socket and does not know abstract names.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// How often the start timeout is extended while the first poll has not succeeded.
const EXTEND_EVERY: Duration = Duration::from_secs(10);
/// By how much, in microseconds.
const EXTEND_BY_USEC: u32 = 30_000_000;

/// The service manager, if there is one.
#[derive(Debug)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    ready: bool,
    reloading: bool,
    extend_at: Instant,
    /// How often it wants to hear that the service lives (`WATCHDOG_USEC`).
    watchdog: Option<Duration>,
    status: String,
}

impl Notify {
    /// The one that `NOTIFY_SOCKET` names. A socket that is not there is the same as none: `run` serves without.
    #[must_use]
    pub fn new(env: &BTreeMap<String, String>, now: Instant) -> Self {
        let socket = env.get("NOTIFY_SOCKET").and_then(|name| connect(name).ok());
        let watchdog = watchdog(env, std::process::id());
        Self { socket, ready: false, reloading: false, extend_at: now, watchdog, status: String::new() }
    }

    /// How often [`Notify::alive`] is to be called at least, if at all.
    #[must_use]
    pub fn alive_every(&self) -> Option<Duration> {
        // sd_watchdog_enabled(3) asks for half; a third lets one come late.
        self.watchdog.filter(|_| self.socket.is_some()).map(|within| within / 3)
    }

    /// The service moves.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            self.send(&[NotifyState::Watchdog]);
        }
    }

    /// Polling works. The first time, the service is ready.
    pub fn ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.send(&[NotifyState::Ready]);
        }
    }

    /// A sentence for `systemctl status`.
    pub fn status(&mut self, text: &str) {
        // A line break would begin another assignment.
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if text != self.status {
            self.send(&[NotifyState::Status(&text)]);
            self.status = text;
        }
    }

    /// The configuration is being read again. Said only by a service that is ready, and once until [`Notify::reloaded`].
    pub fn reloading(&mut self) {
        if self.ready && !std::mem::replace(&mut self.reloading, true) {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
            self.send(&[NotifyState::Reloading, NotifyState::MonotonicUsec(usec)]);
        }
    }

    /// That has ended, whichever way.
    pub fn reloaded(&mut self) {
        if std::mem::take(&mut self.reloading) {
            self.send(&[NotifyState::Ready]);
        }
    }

    /// The service stops.
    pub fn stopping(&mut self) {
        self.ready = true;
        self.send(&[NotifyState::Stopping]);
    }

    /// Asks for more time to start when that is due.
    pub fn tick(&mut self, now: Instant) {
        if !self.ready && now >= self.extend_at {
            self.extend_at = now + EXTEND_EVERY;
            self.send(&[NotifyState::ExtendTimeoutUsec(EXTEND_BY_USEC)]);
        }
    }

    /// When [`Notify::tick`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        (!self.ready && self.socket.is_some()).then_some(self.extend_at)
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        if let Some(socket) = &self.socket {
            let text: String = states.iter().map(|s| format!("{s}\n")).collect();
            // A manager that does not listen is not waited for.
            let _ = socket.send(text.as_bytes());
        }
    }
}

/// What sd_watchdog_enabled(3) says: the variables count for the process that they name only.
fn watchdog(env: &BTreeMap<String, String>, pid: u32) -> Option<Duration> {
    let number = |name: &str| env.get(name).map(|text| text.parse::<u64>());
    match (number("WATCHDOG_USEC")?, number("WATCHDOG_PID")) {
        (Ok(usec), None) if usec > 0 => Some(Duration::from_micros(usec)),
        (Ok(usec), Some(Ok(of))) if usec > 0 && of == u64::from(pid) => Some(Duration::from_micros(usec)),
        _ => None,
    }
}

fn connect(name: &str) -> std::io::Result<UnixDatagram> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
