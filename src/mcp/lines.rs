//! Cuts a byte stream into lines, as they arrive and within a bound. Pure; worker only.
//!
//! A line ends with a line feed; a carriage return before it belongs to the ending; blank lines are none. A line
//! beyond the bound is skipped to its end and reported with what is left of its two ends, never held.

use bytes::{Bytes, BytesMut};

/// How much of each end of a line that is too long is kept.
pub const KEPT: usize = 512;
/// Room that is offered to a reader at least.
const READ: usize = 16 * 1024;
/// An emptied buffer that has grown beyond this is given back.
const HOARD: usize = 256 * 1024;

/// What a stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of UTF-8, not blank, without its ending.
    Text(Bytes),
    /// A line that is not UTF-8; its length in bytes.
    NotUtf8(usize),
    /// A line beyond the bound.
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// Its first [`KEPT`] bytes.
        head: Bytes,
        /// Its last [`KEPT`] bytes.
        tail: Bytes,
    },
}

/// The part of a too long line that has passed.
#[derive(Debug)]
struct Skipped {
    length: usize,
    head: Bytes,
    tail: Vec<u8>,
}

impl Skipped {
    fn take(&mut self, bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len());
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default());
        self.tail.drain(..self.tail.len().saturating_sub(KEPT));
    }
}

/// An incremental splitter.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line feed.
    scanned: usize,
    max: usize,
    skipped: Option<Skipped>,
}

impl Lines {
    /// A splitter for lines of at most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { buffer: BytesMut::new(), scanned: 0, max, skipped: None }
    }

    /// Where to append what was read. Call [`Self::next`] until it is `None` after each read: that is what keeps
    /// the buffer within the bound.
    pub fn room(&mut self) -> &mut BytesMut {
        if self.buffer.is_empty() && self.buffer.capacity() > HOARD {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// The next line that is complete.
    #[expect(clippy::should_implement_trait, reason = "more lines may come after a None")]
    pub fn next(&mut self) -> Option<Line> {
        loop {
            let fresh = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(at) = fresh.iter().position(|b| *b == b'\n') else {
                self.scanned = self.buffer.len();
                if self.buffer.len() > self.max {
                    self.skip_buffer();
                }
                return None;
            };
            let mut line = self.buffer.split_to(self.scanned + at + 1);
            self.scanned = 0;
            line.truncate(line.len() - 1);
            if let Some(found) = self.complete(line) {
                return Some(found);
            }
        }
    }

    /// The line that the end of the stream cut off, if there is one.
    pub fn finish(&mut self) -> Option<Line> {
        let line = self.buffer.split();
        self.scanned = 0;
        self.complete(line)
    }

    /// What has come of a line that is not complete; `None` while a line beyond the bound passes.
    #[must_use]
    pub fn unfinished(&self) -> Option<&[u8]> {
        self.skipped.is_none().then_some(&self.buffer)
    }

    fn complete(&mut self, mut line: BytesMut) -> Option<Line> {
        if self.skipped.is_none() && line.len() <= self.max {
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            return match std::str::from_utf8(&line) {
                Ok(text) if text.trim_ascii().is_empty() => None,
                Ok(_) => Some(Line::Text(line.freeze())),
                Err(_) => Some(Line::NotUtf8(line.len())),
            };
        }
        let mut skipped = self.skipped.take().unwrap_or_else(|| Skipped::starting(&line));
        skipped.take(&line);
        Some(Line::TooLong { length: skipped.length, head: skipped.head, tail: skipped.tail.into() })
    }

    /// Drops what the buffer holds of a line that is too long.
    fn skip_buffer(&mut self) {
        let skipped = self.skipped.get_or_insert_with(|| Skipped::starting(&self.buffer));
        skipped.take(&self.buffer);
        self.buffer.clear();
        self.scanned = 0;
    }
}

impl Skipped {
    fn starting(line: &[u8]) -> Self {
        let head = Bytes::copy_from_slice(line.get(..KEPT).unwrap_or(line));
        Self { length: 0, head, tail: Vec::with_capacity(2 * KEPT) }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
