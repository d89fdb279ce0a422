//! The event stream format of the HTML Living Standard, section 9.2, as far as MCP uses it. Pure: bytes in,
//! events out; worker only.
//!
//! Line ends are LF, CR or CRLF, a byte order mark at the start is skipped, a line without a colon is a field with
//! an empty value. Chunks may break anywhere. Events with another name than `message` and events without data are
//! consumed, not reported; their ids count all the same. Must never hold more than its bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// An id longer than this is ignored: it would have to travel in a request header.
const MAX_ID: usize = 4096;

/// A line or an event is larger than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("event is larger than the limit")
    }
}

impl std::error::Error for TooLarge {}

/// The data of the event in progress: one line stays a slice of what was read.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Many(lines) => lines.len(),
        }
    }

    fn push(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut lines = BytesMut::with_capacity(first.len() + 1 + line.len());
                lines.extend_from_slice(&first);
                lines.extend_from_slice(b"\n");
                lines.extend_from_slice(&line);
                Self::Many(lines)
            }
            Self::Many(mut lines) => {
                lines.extend_from_slice(b"\n");
                lines.extend_from_slice(&line);
                Self::Many(lines)
            }
        };
    }

    fn take(&mut self) -> Bytes {
        match std::mem::take(self) {
            Self::None => Bytes::new(),
            Self::One(line) => line,
            Self::Many(lines) => lines.freeze(),
        }
    }
}

/// An incremental parser of one stream.
#[derive(Debug)]
pub struct Parser {
    /// Bound on line and data together, in bytes.
    max: usize,
    /// What was pushed and not yet looked at.
    chunk: Bytes,
    /// The beginning of a line whose end has not come.
    line: BytesMut,
    /// The last line ended with CR: an LF that follows belongs to it.
    after_cr: bool,
    /// No line was complete yet.
    at_start: bool,
    data: Data,
    /// The event in progress has a name other than `message`.
    foreign: bool,
    /// The id of the event in progress; it becomes the last one when the event ends.
    id: Option<Bytes>,
    last_id: Option<Bytes>,
    retry: Option<Duration>,
}

impl Parser {
    /// A parser for a stream that holds at most `max` bytes of one event. `last_id` is that of the stream before,
    /// which this one takes up: it holds until the server names another or clears it.
    #[must_use]
    pub fn new(max: usize, last_id: Option<Bytes>) -> Self {
        Self {
            max,
            chunk: Bytes::new(),
            line: BytesMut::new(),
            after_cr: false,
            at_start: true,
            data: Data::None,
            foreign: false,
            id: None,
            last_id,
            retry: None,
        }
    }

    /// The id to resume after: of the last event that ended with a blank line and that had one, or of an earlier
    /// event. `None` too when the server cleared it with an empty id.
    #[must_use]
    pub fn last_id(&self) -> Option<&Bytes> {
        self.last_id.as_ref()
    }

    /// The time the server wants a client to wait before it connects again.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes of the stream. [`Self::event`] must have returned `None` before.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The data of the next complete event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When a line or an event is larger than the bound. The parser is of no use afterwards.
    pub fn event(&mut self) -> Result<Option<Bytes>, TooLarge> {
        loop {
            if self.after_cr && !self.chunk.is_empty() {
                self.after_cr = false;
                if self.chunk.first() == Some(&b'\n') {
                    let _ = self.chunk.split_to(1);
                }
            }
            let Some(end) = self.chunk.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                self.check(self.chunk.len())?;
                self.line.extend_from_slice(&self.chunk);
                self.chunk.clear();
                return Ok(None);
            };
            self.check(end)?;
            let rest = self.chunk.split_to(end);
            self.after_cr = self.chunk.split_to(1).first() == Some(&b'\r');
            let line = if self.line.is_empty() {
                rest
            } else {
                self.line.extend_from_slice(&rest);
                self.line.split().freeze()
            };
            if let Some(event) = self.line(line) {
                return Ok(Some(event));
            }
        }
    }

    /// The stream ended in good order: what an event without its closing blank line holds, which some servers
    /// send. It may be cut off; its id is not taken over.
    pub fn finish(&mut self) -> Option<Bytes> {
        let line = self.line.split().freeze();
        let whole = if line.is_empty() { None } else { self.line(line) };
        self.id = None;
        whole.or_else(|| self.line(Bytes::new()))
    }

    fn check(&self, more: usize) -> Result<(), TooLarge> {
        let held = self.line.len().saturating_add(self.data.len()).saturating_add(more);
        if held > self.max { Err(TooLarge) } else { Ok(()) }
    }

    /// Takes one line without its end; returns the data of the event that it closes.
    fn line(&mut self, mut line: Bytes) -> Option<Bytes> {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xEF\xBB\xBF") {
            let _ = line.split_to(3);
        }
        if line.is_empty() {
            return self.dispatch();
        }
        let colon = line.iter().position(|b| *b == b':');
        let name = line.split_to(colon.unwrap_or(line.len()));
        let mut value = line;
        if colon.is_some() {
            let _ = value.split_to(1);
            if value.first() == Some(&b' ') {
                let _ = value.split_to(1);
            }
        }
        match name.as_ref() {
            b"data" => self.data.push(value),
            b"event" => self.foreign = !value.is_empty() && value.as_ref() != b"message",
            b"id" if value.len() <= MAX_ID && !value.contains(&0) => {
                // A copy, so that a short id does not keep the chunk that it came in.
                self.id = Some(Bytes::copy_from_slice(&value));
            }
            b"retry" => self.retry = milliseconds(&value).or(self.retry),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Bytes> {
        if let Some(id) = self.id.take() {
            self.last_id = (!id.is_empty()).then_some(id);
        }
        let data = self.data.take();
        let foreign = std::mem::take(&mut self.foreign);
        (!foreign && !data.is_empty()).then_some(data)
    }
}

/// ASCII digits only; anything else is ignored, as the standard says.
fn milliseconds(value: &[u8]) -> Option<Duration> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
