//! Launch: a short-lived role between broker and MCP server, that confines itself and becomes the server.
//!
//! It exists so that none of our code runs between fork and exec in the broker. It has one thread, reads one frame of
//! the broker and opens nothing but the paths of its rules. The environment, the working directory and descriptors 0
//! to 2 are the server's already.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use crate::confine::kernel::{Failed, Kernel};
use crate::confine::{self, Sealed};
use crate::exit::Exit;
use crate::ipc::handed;
use crate::ipc::order::{MAX_REPORT, Order};
use crate::sys::{exec, fds, message, poll, process, signals};

/// Becomes the program that the broker names over `fd`, a SEQPACKET socket. Returns only when that fails, after
/// sending the reason; the broker sees the socket's end when it succeeds. Must be called before anything else owns a
/// descriptor.
#[must_use]
pub fn run(fd: RawFd) -> Exit {
    let Ok(socket) = fds::sanitize_keeping(fd) else { return Exit::Usage };
    let error = match become_server(&socket) {
        Ok(never) => match never {},
        // The broker has died, and so have we.
        Err(_) if poll::has_hung_up(&socket) => return Exit::Os,
        Err(error) => error,
    };
    report(&socket, &error);
    Exit::Os
}

fn report(socket: &OwnedFd, error: &Failed) {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(MAX_REPORT));
    // A broker that does not listen any more has died, and so have we.
    let _ = message::send(socket, text.as_bytes(), &[]);
}

enum Never {}

fn become_server(socket: &OwnedFd) -> Result<Never, Failed> {
    let order = prepare(socket)?;
    let abi = Kernel::probe()
        .check(order.require)
        .map_err(|missing| Failed { step: "the kernel", error: io::Error::other(missing) })?;
    let sealed = confine::child(abi, &order.profile)?;
    Err(start(sealed, order.argv))
}

/// Everything before the confinement; what to become.
fn prepare(socket: &OwnedFd) -> Result<Order, Failed> {
    // The broker's death from here on kills us; before, it closed the other end.
    let prepared =
        process::die_with_parent().and_then(|()| process::harden()).and_then(|()| signals::reset());
    prepared.map_err(|error| Failed { step: "preparing the process", error })?;
    let order: Order =
        handed::receive(socket).map_err(|error| Failed { step: "hearing what to become", error })?;
    // What the server leaves behind when it dies comes to the broker at that moment, and not before.
    process::adopt_orphans().map_err(|error| Failed { step: "adopting orphans", error })?;
    Ok(order)
}

/// The server begins here, and only a confined process gets here.
fn start(_: Sealed, argv: Vec<String>) -> Failed {
    let error = exec::exec(argv.into_iter().map(Into::into).collect());
    Failed { step: "starting the program", error }
}

#[cfg(test)]
#[path = "launch_tests.rs"]
mod tests;
