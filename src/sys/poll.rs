//! Waiting for descriptors: the broker's only place to sleep.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

/// What to wait for. Errors and hang-ups are always reported, as readable.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'a> {
    fd: BorrowedFd<'a>,
    flags: PollFlags,
}

impl<'a> Interest<'a> {
    /// Something to read, or the end.
    #[must_use]
    pub fn read(fd: BorrowedFd<'a>) -> Self {
        Self { fd, flags: PollFlags::IN }
    }

    /// Also room to write when `wanted`.
    #[must_use]
    pub fn or_write(mut self, wanted: bool) -> Self {
        self.flags.set(PollFlags::OUT, wanted);
        self
    }
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// There is something to read, or the end, or an error.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
}

/// Waits until one of `interests` is ready or `timeout` (`None`: for ever) has passed. The answers are in the order
/// of the questions. An interrupting signal looks like a timeout.
///
/// # Errors
/// When the kernel has no memory for it.
pub fn wait(interests: &[Interest<'_>], timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
    let mut fds: Vec<PollFd<'_>> =
        interests.iter().map(|i| PollFd::from_borrowed_fd(i.fd, i.flags)).collect();
    let timeout = timeout.map(|t| Timespec {
        tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(t.subsec_nanos()),
    });
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => fds.iter_mut().for_each(PollFd::clear_revents),
        Err(e) => return Err(e.into()),
    }
    let ready = |fd: &PollFd<'_>| {
        let got = fd.revents();
        Ready {
            readable: got.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
            writable: got.contains(PollFlags::OUT),
        }
    };
    Ok(fds.iter().map(ready).collect())
}

/// Whether `fd` has something to read, or its end has come. Does not wait.
#[must_use]
pub fn is_readable(fd: impl AsFd) -> bool {
    is_ready(Interest::read(fd.as_fd()))
}

/// Whether nobody holds the other end of a pipe or socket any more. Does not wait.
#[must_use]
pub fn has_hung_up(fd: impl AsFd) -> bool {
    is_ready(Interest { fd: fd.as_fd(), flags: PollFlags::empty() })
}

fn is_ready(interest: Interest<'_>) -> bool {
    wait(&[interest], Some(Duration::ZERO)).is_ok_and(|ready| ready.iter().any(|r| r.readable))
}
