//! Reading a file that the configuration names: regular files only, bounded, never waiting for a FIFO.
//!
//! Broker only. Contents may be secret and are wiped when dropped.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// Largest profile.
pub const MAX_CONFIG: u64 = 1024 * 1024;
/// Largest key, header value or similar.
pub const MAX_SECRET: u64 = 64 * 1024;
/// Largest bundle of trust anchors; the bundles of distributions have about 256 KiB.
pub const MAX_BUNDLE: u64 = 4 * 1024 * 1024;

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// It is not there.
    Missing,
    /// The operating system refuses.
    Io(std::io::Error),
    /// A directory, FIFO, device or socket.
    NotRegular,
    /// Longer than this many bytes.
    TooLarge(u64),
    /// Not UTF-8.
    NotText,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NotRegular => f.write_str("is not a regular file"),
            Self::TooLarge(max) => write!(f, "is larger than {max} bytes"),
            Self::NotText => f.write_str("is not UTF-8 text"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a whole text of at most `max` bytes.
///
/// # Errors
/// See [`ReadError`].
pub fn text(path: &Path, max: u64) -> Result<Zeroizing<String>, ReadError> {
    let bytes = bytes(path, max)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| ReadError::NotText)?;
    Ok(Zeroizing::new(text.to_string()))
}

/// Reads a whole file of at most `max` bytes.
///
/// # Errors
/// See [`ReadError`].
pub fn bytes(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    // NONBLOCK: opening a FIFO must not wait for a writer. It has no effect on regular files.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Err(ReadError::Missing),
        Err(errno) => return Err(ReadError::Io(errno.into())),
    };
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::NotRegular);
    }
    if metadata.len() > max {
        return Err(ReadError::TooLarge(max));
    }
    // Enough room for what was announced, so that no unwiped copy is left behind by a growing buffer.
    let room = usize::try_from(metadata.len().saturating_add(1)).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let mut bounded = file.take(max.saturating_add(1));
    bounded.read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bounded.limit() == 0 {
        return Err(ReadError::TooLarge(max));
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
