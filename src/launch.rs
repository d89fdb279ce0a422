//! Launch: a short-lived role between broker and MCP server, that becomes the server.
//!
//! It exists so that none of our code runs between fork and exec in the broker. It has one thread, opens nothing
//! and reads nothing. The environment, the working directory and descriptors 0 to 2 are the server's already.

use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};

use crate::exit::Exit;
use crate::sys::{exec, fds, poll, process, signals};

/// Becomes the program `argv[0]`, an absolute path. Returns only when that fails, after writing the errno as four
/// bytes to `status_fd`; the broker sees an empty end there when it succeeds. Must be called before anything else
/// owns a descriptor.
#[must_use]
pub fn run(status_fd: RawFd, argv: Vec<OsString>) -> Exit {
    let Ok(status) = fds::sanitize_keeping(status_fd) else { return Exit::Usage };
    let error = match prepare() {
        // From here on the death of the broker kills us; before, it closed the other end.
        Ok(()) if poll::has_hung_up(&status) => return Exit::Os,
        Ok(()) => exec::exec(argv),
        Err(e) => e,
    };
    report(&status, &error);
    Exit::Os
}

/// What holds for the server from its first instruction on. Whatever confines it further belongs here, last.
fn prepare() -> io::Result<()> {
    process::die_with_parent()?;
    process::harden()?;
    signals::reset()
}

fn report(status: &OwnedFd, error: &io::Error) {
    let errno = error.raw_os_error().unwrap_or(0);
    // A broker that does not listen any more has died, and so have we.
    let _ = fds::write(status, &errno.to_ne_bytes());
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
