//! The directory of the log: what the files are called, how they are begun, which there are. Broker and commands.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::chain::{Digest, Key, Record};
use super::lines::{Line, Lines};
use super::state::State;

/// The name of the file with the state.
const STATE: &str = "state";
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";

/// Where the state is.
#[must_use]
pub fn state(directory: &Path) -> PathBuf {
    directory.join(STATE)
}

/// The name of a file of records.
#[must_use]
pub fn name(file: u64) -> String {
    format!("{PREFIX}{file:08}{SUFFIX}")
}

/// Where a file of records is.
#[must_use]
pub fn path(directory: &Path, file: u64) -> PathBuf {
    directory.join(name(file))
}

/// The numbers of the files that are there, in order.
///
/// # Errors
/// When the directory cannot be read.
pub fn files(directory: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?.file_name();
        let number = entry.to_str().and_then(|n| n.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok());
        // Another spelling of a number is not a file of ours.
        found.extend(number.filter(|n| entry.to_str() == Some(&name(*n))));
    }
    found.sort_unstable();
    Ok(found)
}

/// Begins a log: makes the directory if it is missing, and the state. `owner` is given both.
///
/// # Errors
/// `AlreadyExists` when there is a state or a file of records; whatever the system refuses.
pub fn begin(directory: &Path, key: Key, now: u64, owner: Option<(u32, u32)>) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    if !files(directory)?.is_empty() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let at = state(directory);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
    io::Write::write_all(&mut &file, &State::begin(key, now).render())?;
    file.sync_all()?;
    if let Some((uid, gid)) = owner {
        chown(&at, Some(uid), Some(gid))?;
        chown(directory, Some(uid), Some(gid))?;
    }
    sync(directory)
}

/// Makes the names in the directory durable.
///
/// # Errors
/// When the system refuses.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The records of one file, from the first to the last.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The hash of the last.
    pub hash: Digest,
    /// The size of the file.
    pub bytes: u64,
}

/// Looks into a file of records; `None` when it holds none.
///
/// # Errors
/// When it cannot be read.
pub fn span(directory: &Path, file: u64) -> io::Result<Option<Span>> {
    let opened = File::open(path(directory, file))?;
    let bytes = opened.metadata()?.len();
    let mut span = None;
    let mut lines = Lines::new(opened);
    while let Some(line) = lines.step()? {
        if let Line::Whole(line) = line
            && let Ok(record) = Record::read(line)
        {
            let first = span.map_or(record.sequence, |s: Span| s.first);
            span = Some(Span { first, last: record.sequence, hash: record.hash(), bytes });
        }
    }
    Ok(span)
}
