//! Brings state and files together at the start: what a crash left between them is taken over, cut off or counted.
//!
//! Broker only. Records are written before the state, so the files may be ahead: their records are checked with the key
//! of the state, which they must follow. They are behind only if the disk lost what the kernel had. Nothing that is
//! not authentic is ever passed over.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::chain::Flaw;
use super::directory;
use super::lines::{Line, Lines};
use super::state::State;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Records that the state did not count yet.
    pub continued: u64,
    /// Bytes of a record that was written in part.
    pub torn_bytes: u64,
    /// Records that the state counts and no file has.
    pub missing: u64,
}

/// Why the log cannot go on.
#[derive(Debug)]
pub enum RecoverError {
    /// The system refuses a file.
    Io(u64, io::Error),
    /// A file that the state names is not there.
    Gone(u64),
    /// A line behind the last one that was counted is not the record that belongs there.
    Altered(u64, Flaw),
}

/// The file to go on with; `state` is brought up to it.
pub fn recover(directory: &Path, state: &mut State, now: u64) -> Result<(File, Found), RecoverError> {
    let mut found = Found::default();
    loop {
        let number = state.file;
        let io = |error| RecoverError::Io(number, error);
        let file = open(directory, state)?;
        let length = file.metadata().map_err(io)?.len();
        if length < state.offset {
            let (whole, last) = whole_lines(&file).map_err(io)?;
            let last = match last {
                Some(last) => Some(last),
                None => last_before(directory, number).map_err(io)?,
            };
            found.missing =
                state.chain.sequence.saturating_sub(last.map_or(0, |last| last.saturating_add(1)));
            state.offset = whole;
        } else {
            found.continued += follow(&file, state)?;
        }
        found.torn_bytes += length.saturating_sub(state.offset);
        file.set_len(state.offset).map_err(io)?;
        // The crash may have come after the next file was begun and before the state said so.
        if !directory::path(directory, number.saturating_add(1)).exists() {
            return Ok((file, found));
        }
        state.next_file(now);
    }
}

fn open(directory: &Path, state: &State) -> Result<File, RecoverError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    // A file that was never written to may never have been made.
    options.create(state.offset == 0);
    options.open(directory::path(directory, state.file)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RecoverError::Gone(state.file),
        _ => RecoverError::Io(state.file, error),
    })
}

/// Takes over the whole records behind the offset, and says how many.
fn follow(file: &File, state: &mut State) -> Result<u64, RecoverError> {
    let number = state.file;
    let io = |error| RecoverError::Io(number, error);
    let mut reader = file.try_clone().map_err(io)?;
    reader.seek(SeekFrom::Start(state.offset)).map_err(io)?;
    let mut lines = Lines::new(reader);
    let mut count = 0_u64;
    loop {
        match lines.step().map_err(io)? {
            Some(Line::Whole(line)) => {
                state.chain.accept(line).map_err(|flaw| RecoverError::Altered(number, flaw))?;
                state.offset += u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
                count += 1;
            }
            Some(Line::Long) => return Err(RecoverError::Altered(number, Flaw::Shape)),
            Some(Line::Torn(_)) | None => return Ok(count),
        }
    }
}

/// The length of the file up to the end of its last whole line, and the number of the record there.
fn whole_lines(file: &File) -> io::Result<(u64, Option<u64>)> {
    let mut reader = file.try_clone()?;
    reader.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(reader);
    let (mut length, mut last) = (0_u64, None);
    while let Some(Line::Whole(line)) = lines.step()? {
        length += u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
        last = super::chain::Record::read(line).ok().map(|record| record.sequence).or(last);
    }
    Ok((length, last))
}

fn last_before(directory: &Path, file: u64) -> io::Result<Option<u64>> {
    let before = directory::files(directory)?.into_iter().rfind(|n| *n < file);
    Ok(before.map(|n| directory::span(directory, n)).transpose()?.flatten().map(|span| span.last))
}
