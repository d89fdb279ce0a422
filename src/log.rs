//! Log lines: one event, one line, `key=value` or JSON, rate-limited per class, no payloads and no secrets.
//!
//! Every role logs through [`Log`]. Broker and commands render; the worker writes *records*, which the broker
//! reads from the worker's stderr and renders with the role added, so that nothing below the broker decides what
//! a line looks like. Must never be given header values, payloads, keys or session ids.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub mod journal;
mod render;
mod value;

pub use render::{epoch_ms, rfc3339};

use journal::Journal;

use render::{MAX_FIELDS, MAX_VALUE, Record, is_key, render};
pub use value::{Format, Level, Value};

/// Lines of one class (component and message) that may come at once.
const BURST: u32 = 30;
/// After the burst, a line of the class every this long.
const REFILL: Duration = Duration::from_millis(500);

enum Sink {
    /// Records for the broker, on stderr.
    Relay,
    /// Rendered lines on stderr, with the `<N>` prefix where the journal reads it.
    Stderr { format: Format, prefix: bool },
    /// Fields for the journal.
    Journal { format: Format, journal: Journal },
    /// Rendered lines in a file.
    File { format: Format, file: File },
    /// Rendered text lines kept for a test.
    Memory(Arc<Mutex<Vec<String>>>),
}

struct Inner {
    level: Level,
    sink: Sink,
    /// Attributes of every line: `client_instance_id`, `tunnel_id`.
    always: Vec<(&'static str, String)>,
    classes: Mutex<HashMap<(&'static str, &'static str), Class>>,
}

struct Class {
    tokens: u32,
    refilled: Instant,
    dropped: u64,
}

/// The way to write log lines. Cheap to clone.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    fn with(level: Level, sink: Sink) -> Self {
        Self(Arc::new(Inner { level, sink, always: Vec::new(), classes: Mutex::new(HashMap::new()) }))
    }

    /// For the worker: records on stderr. All levels; the broker filters.
    #[must_use]
    pub fn relay(level: Level) -> Self {
        Self::with(level, Sink::Relay)
    }

    /// Lines on stderr; `journal` says that the journal reads it and takes a priority prefix.
    #[must_use]
    pub fn stderr(level: Level, format: Format, journal: bool) -> Self {
        Self::with(level, Sink::Stderr { format, prefix: journal })
    }

    /// Fields for the journal, and lines on stderr should it be gone: it reads them as well, or what follows it does.
    #[must_use]
    pub fn journal(level: Level, format: Format, journal: Journal) -> Self {
        Self::with(level, Sink::Journal { format, journal })
    }

    /// Lines appended to an open file.
    #[must_use]
    pub fn file(level: Level, format: Format, file: File) -> Self {
        Self::with(level, Sink::File { format, file })
    }

    /// Text lines kept in memory, for tests.
    #[must_use]
    pub fn memory() -> (Self, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        (Self::with(Level::Debug, Sink::Memory(Arc::clone(&lines))), lines)
    }

    /// The same log with attributes on every line.
    #[must_use]
    pub fn always(self, always: Vec<(&'static str, String)>) -> Self {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => Self(Arc::new(Inner { always, ..inner })),
            Err(shared) => Self(shared),
        }
    }

    /// Something is broken.
    pub fn error(&self, component: &'static str, msg: &'static str, fields: &[(&'static str, Value<'_>)]) {
        self.event(Level::Error, component, msg, fields);
    }

    /// Something to look at.
    pub fn warn(&self, component: &'static str, msg: &'static str, fields: &[(&'static str, Value<'_>)]) {
        self.event(Level::Warn, component, msg, fields);
    }

    /// Normal life.
    pub fn info(&self, component: &'static str, msg: &'static str, fields: &[(&'static str, Value<'_>)]) {
        self.event(Level::Info, component, msg, fields);
    }

    /// Detail.
    pub fn debug(&self, component: &'static str, msg: &'static str, fields: &[(&'static str, Value<'_>)]) {
        self.event(Level::Debug, component, msg, fields);
    }

    /// Whether lines of this level are written, for callers that would compute fields.
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        level >= self.0.level
    }

    /// Writes an event, unless its level is off or its class has used up its share.
    fn event(
        &self,
        level: Level,
        component: &'static str,
        msg: &'static str,
        fields: &[(&'static str, Value<'_>)],
    ) {
        if !self.enabled(level) {
            return;
        }
        let Some(dropped) = self.admit((component, msg)) else { return };
        let mut all: Vec<(Cow<'_, str>, Value<'_>)> =
            fields.iter().map(|(k, v)| (Cow::Borrowed(*k), v.cut(MAX_VALUE))).collect();
        if dropped > 0 {
            all.push(("lines_dropped".into(), dropped.into()));
        }
        self.write(&Record { level, component: component.into(), msg: msg.into(), fields: all }, None);
    }

    /// A line that the worker wrote to its stderr: a record, or text. A record with a field whose name this crate
    /// would not give is text.
    pub fn record_from_below(&self, role: &str, line: &[u8]) {
        let record = serde_json::from_slice::<Record<'_>>(line).ok().filter(|record| {
            record.fields.len() <= MAX_FIELDS && record.fields.iter().all(|(key, _)| is_key(key))
        });
        match record {
            Some(record) if self.enabled(record.level) => self.write(&record, Some(role)),
            Some(_) => {}
            None => self.text_from_below(role, line),
        }
    }

    /// A line that any process below wrote to its stderr. It decides neither level nor component nor fields, whatever
    /// it says: the role is added, control characters are escaped, and a leading `<N>` has no effect.
    pub fn text_from_below(&self, role: &str, line: &[u8]) {
        let record = Record {
            level: Level::Info,
            component: "stderr".into(),
            msg: "line from a process below".into(),
            fields: vec![("line".into(), Value::Str(Cow::Owned(String::from_utf8_lossy(line).into_owned())))],
        };
        if self.enabled(record.level) {
            self.write(&record, Some(role));
        }
    }

    /// `None`: drop the line. `Some(n)`: write it; `n` lines of its class were dropped before.
    fn admit(&self, class: (&'static str, &'static str)) -> Option<u64> {
        let now = Instant::now();
        let mut classes = self.0.classes.lock().unwrap_or_else(PoisonError::into_inner);
        let c = classes.entry(class).or_insert(Class { tokens: BURST, refilled: now, dropped: 0 });
        let earned = now.duration_since(c.refilled).as_millis() / REFILL.as_millis();
        if earned > 0 {
            c.tokens = c.tokens.saturating_add(u32::try_from(earned).unwrap_or(BURST)).min(BURST);
            c.refilled = now;
        }
        if c.tokens == 0 {
            c.dropped += 1;
            return None;
        }
        c.tokens -= 1;
        Some(std::mem::take(&mut c.dropped))
    }

    fn write(&self, record: &Record<'_>, role: Option<&str>) {
        if let Sink::Journal { format, journal } = &self.0.sink
            && journal.write(*format, record, role, &self.0.always).is_ok()
        {
            return;
        }
        let mut line = String::with_capacity(256);
        match &self.0.sink {
            Sink::Relay => {
                if let Ok(json) = serde_json::to_string(record) {
                    line = json;
                }
            }
            Sink::Stderr { format, .. } | Sink::Journal { format, .. } => {
                if !matches!(self.0.sink, Sink::Stderr { prefix: false, .. }) {
                    let _ = write!(line, "<{}>", record.level.priority());
                }
                render(*format, record, role, &self.0.always, &mut line);
            }
            Sink::File { format, .. } => render(*format, record, role, &self.0.always, &mut line),
            Sink::Memory(_) => render(Format::Text, record, role, &self.0.always, &mut line),
        }
        if let Sink::Memory(lines) = &self.0.sink {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            return;
        }
        line.push('\n');
        // A log that cannot be written has nobody to tell.
        let _ = match &self.0.sink {
            Sink::File { file, .. } => (&*file).write_all(line.as_bytes()),
            _ => std::io::stderr().write_all(line.as_bytes()),
        };
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
