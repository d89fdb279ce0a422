//! Files that are opened in a particular way.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, fstat};
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

/// A directory, to name entries in: whatever becomes of its own name.
///
/// # Errors
/// When it is none, or cannot be reached.
pub fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// The path of an entry of a directory that is open.
pub fn within(dir: impl AsFd, name: &OsStr) -> PathBuf {
    Path::new("/proc/self/fd").join(dir.as_fd().as_raw_fd().to_string()).join(name)
}

/// An entry of a directory, itself and not what it links to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    device: u64,
    inode: u64,
    /// When it was last written, in seconds and nanoseconds: numbers of inodes are used again.
    written: (i128, i128),
    /// It is a socket.
    pub is_socket: bool,
}

/// What the name stands for in the directory; `None` when there is no such entry.
///
/// # Errors
/// When that cannot be seen.
pub fn entry(dir: impl AsFd, name: &OsStr) -> io::Result<Option<Entry>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            let is_socket = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket;
            let written = (i128::from(stat.st_mtime), i128::from(stat.st_mtime_nsec));
            Ok(Some(Entry { device: stat.st_dev, inode: stat.st_ino, written, is_socket }))
        }
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Removes an entry that is no directory.
///
/// # Errors
/// What the system says.
pub fn remove(dir: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(dir, name, AtFlags::empty())?)
}

/// Gives an entry to a user and group, itself and not what it links to.
///
/// # Errors
/// What the system says.
pub fn give(dir: impl AsFd, name: &OsStr, (uid, gid): (u32, u32)) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Puts a file of this mode and content in the place of what has the name, at once and without following a link. It is
/// written under the name `draft` first, of which nothing may exist.
///
/// # Errors
/// What the system says; the draft is removed then.
pub fn replace(
    dir: impl AsFd,
    (draft, name): (&OsStr, &OsStr),
    mode: u32,
    owner: Option<(u32, u32)>,
    content: &[u8],
) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    let mut file = File::from(rustix::fs::openat(&dir, draft, flags, Mode::from_raw_mode(0o600))?);
    let mut written = || -> io::Result<()> {
        io::Write::write_all(&mut file, content)?;
        rustix::fs::fchmod(&file, mode)?;
        if let Some((uid, gid)) = owner {
            rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(rustix::fs::renameat(&dir, draft, &dir, name)?)
    };
    let written = written();
    if written.is_err() {
        // The first error is the one that says something.
        let _ = remove(&dir, draft);
    }
    written
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
