//! Events as fields, for the journal of systemd (its native protocol, journal-export datagrams). Broker only.
//!
//! Every name but those of the journal's own few gets a prefix, so that no process below us can set `PRIORITY`,
//! `MESSAGE` or a field that another program believes in. What the journal does not take in time is dropped and
//! counted: a journal that hangs does not stop the service.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::net::SendFlags;

use super::render::{Record, own_fields, render, text_pair};
use super::value::{Format, Value};

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// How long a line may wait for a journal that is busy. One that is late stays suspect until it takes a line again.
const PATIENCE: Duration = Duration::from_millis(500);
/// Before the name of each field of ours.
const PREFIX: &str = "TUNNELWARD_";
/// Longest name of a field that the journal accepts.
const MAX_NAME: usize = 64;

/// A connection to the journal. It was made before the process was confined and cannot be made again.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    is_late: AtomicBool,
    dropped: AtomicU64,
}

impl Journal {
    /// Connects to the journal that listens at `path`, which is [`SOCKET`] but for tests.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, is_late: AtomicBool::new(false), dropped: AtomicU64::new(0) })
    }

    /// Sends an event, or drops it when the journal is too busy.
    ///
    /// # Errors
    /// When the journal is gone, or an event is larger than the socket takes: nothing was dropped then.
    pub(super) fn write(
        &self,
        format: Format,
        record: &Record<'_>,
        role: Option<&str>,
        always: &[(&'static str, String)],
    ) -> io::Result<()> {
        let mut entry = entry(format, record, role, always);
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            field(&mut entry, "TUNNELWARD_JOURNAL_LINES_DROPPED", &dropped.to_string());
        }
        let waits =
            if self.is_late.load(Ordering::Relaxed) { SendFlags::DONTWAIT } else { SendFlags::empty() };
        let flags = SendFlags::NOSIGNAL | waits;
        match rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, &entry, flags)) {
            Ok(_) => {
                self.is_late.store(false, Ordering::Relaxed);
                self.dropped.fetch_sub(dropped, Ordering::Relaxed);
                Ok(())
            }
            Err(e) if io::Error::from(e).kind() == ErrorKind::WouldBlock => {
                self.is_late.store(true, Ordering::Relaxed);
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// The datagram of an event. For people there is `MESSAGE`, one line: what the format says, without what the journal
/// knows itself.
fn entry(
    format: Format,
    record: &Record<'_>,
    role: Option<&str>,
    always: &[(&'static str, String)],
) -> Vec<u8> {
    let mut entry = Vec::with_capacity(1024);
    field(&mut entry, "PRIORITY", &record.level.priority().to_string());
    field(&mut entry, "SYSLOG_IDENTIFIER", "tunnelward");
    field(&mut entry, "MESSAGE", &message(format, record, role, always));
    let own = [("msg", record.msg.as_ref()), ("component", record.component.as_ref())];
    let role = role.map(|role| ("role", role));
    let attributes = always.iter().map(|(name, value)| (*name, value.as_str()));
    for (name, value) in own.into_iter().chain(role).chain(attributes) {
        prefixed(&mut entry, name, value);
    }
    for (name, value) in own_fields(record, always) {
        match value {
            Value::Bool(b) => prefixed(&mut entry, name, if b { "true" } else { "false" }),
            Value::Int(n) => prefixed(&mut entry, name, &n.to_string()),
            Value::Str(text) => prefixed(&mut entry, name, &text),
        }
    }
    entry
}

fn message(
    format: Format,
    record: &Record<'_>,
    role: Option<&str>,
    always: &[(&'static str, String)],
) -> String {
    let mut line = String::with_capacity(256);
    if format == Format::Json {
        render(format, record, role, always, &mut line);
        return line;
    }
    for c in record.msg.chars() {
        if c.is_control() {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    let role = role.map(|role| ("role", Value::from(role)));
    for (name, value) in role.into_iter().chain(own_fields(record, always)) {
        text_pair(1, name, &value, &mut line);
    }
    line
}

/// A field of ours. One whose name the journal would not take stands in `MESSAGE` only.
fn prefixed(entry: &mut Vec<u8>, name: &str, value: &str) {
    if PREFIX.len() + name.len() <= MAX_NAME {
        field(entry, &format!("{PREFIX}{}", name.to_ascii_uppercase()), value);
    }
}

/// `NAME=value`, or with the length before a value that has line breaks, which could begin another field.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&u64::try_from(value.len()).unwrap_or_default().to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
