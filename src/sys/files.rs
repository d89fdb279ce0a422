//! Files that are opened in a particular way.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::fstat;
use rustix::stdio::stderr;

/// Opens `path` for appending and creates it with mode 0600 if it is not there.
///
/// # Errors
/// When it cannot be opened or created.
pub fn append_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Device and inode of this process's stderr in decimal, with a colon between them: what systemd.exec(5) puts into
/// `JOURNAL_STREAM` when that is where stderr goes.
///
/// # Errors
/// When stderr is closed.
pub fn stderr_stream() -> io::Result<String> {
    let stat = fstat(stderr())?;
    Ok(format!("{}:{}", stat.st_dev, stat.st_ino))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
