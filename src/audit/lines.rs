//! Reads the lines of a file one at a time, however long somebody made them. Broker and commands.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};

use super::chain::MAX_LINE;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// With its end, which is left out here.
    Whole(&'a [u8]),
    /// The last bytes of the file, without an end.
    Torn(&'a [u8]),
    /// The first bytes of one that is longer than a record can be.
    Long,
}

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    /// From where the file stands.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, file), line: Vec::new() }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn step(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let bound = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        (&mut self.reader).take(bound).read_until(b'\n', &mut self.line)?;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(Line::Whole(&self.line)));
        }
        if self.line.len() < MAX_LINE {
            return Ok((!self.line.is_empty()).then_some(Line::Torn(&self.line)));
        }
        // The rest of it, in pieces.
        loop {
            self.line.clear();
            let n = (&mut self.reader).take(bound).read_until(b'\n', &mut self.line)?;
            if n == 0 || self.line.last() == Some(&b'\n') {
                return Ok(Some(Line::Long));
            }
        }
    }
}
