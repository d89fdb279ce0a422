//! The hidden role `probe`: a process that confines itself by the steps of a real role and then attempts one thing.
//!
//! It cannot be had unconfined: what it attempts comes after the confinement, in the same function, over a socket that
//! only `confinement` hands it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use super::observe;
use super::task::{Post, Task, Try, Word};
use crate::broker;
use crate::broker::spawn::Images;
use crate::confine::attempts::{self, Outcome};
use crate::confine::kernel::{Abi, Kernel};
use crate::confine::landlock::Grants;
use crate::confine::report::{Report, Witness};
use crate::confine::seccomp::Role;
use crate::confine::{self, Sealed, Single, Unprivileged};
use crate::exit::Exit;
use crate::ipc::handed;
use crate::sys::poll::{self, Interest};
use crate::sys::{attempt, message, process, signals};

/// The whole life of a process of the probe.
#[must_use]
pub fn run() -> Exit {
    // INVARIANT: a process that nobody started for this ends here, before it has done anything.
    let Ok(socket) = process::enter_worker() else { return Exit::Usage };
    let task = handed::receive(&socket).map_err(|e| e.to_string());
    match task.and_then(|task| live(&socket, task)) {
        Ok(()) => Exit::Ok,
        Err(text) => {
            // The command may be gone.
            let _ = tell(&socket, &Word::Failed(text));
            Exit::Os
        }
    }
}

fn live(socket: &OwnedFd, task: Task) -> Result<(), String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let said = |e: io::Error| e.to_string();
    match task.post {
        Post::Neighbour { identity } => {
            let single = Single::assert().map_err(|e| text(&e))?;
            Unprivileged::become_(single, identity).map_err(|e| text(&e))?;
            attempt::be_open_to_neighbours().map_err(said)?;
            tell(socket, &Word::Ready {}).map_err(said)?;
            // Until the command closes its end.
            poll::wait(&[Interest::read(socket.as_fd())], None).map_err(said)?;
        }
        Post::Foreman { identity, grants, tasks } => {
            let abi = abi(task.require)?;
            broker::enter(identity, abi, &grants).map_err(|e| text(&e))?;
            for task in &tasks {
                let seen = observe::observe(&Images::probe(), task);
                tell(socket, &Word::Seen(Box::new(seen))).map_err(said)?;
            }
        }
        post => {
            let report = confine(&post, task.require)?;
            tell(socket, &Word::Confined(Box::new(report))).map_err(said)?;
            if let Some(Try { name, context }) = task.attempt {
                let attempt = attempts::named(&name).ok_or_else(|| format!("there is no attempt {name}"))?;
                let outcome = Outcome::of(&attempt.make(&context));
                tell(socket, &Word::Ended(outcome)).map_err(said)?;
            }
        }
    }
    Ok(())
}

/// Confines this process as broker, worker or MCP server, by their own steps, and says what is in force.
///
/// # Errors
/// The step that failed, as a sentence.
pub fn confine(post: &Post, require: u8) -> Result<Report, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let witness = Witness::open().map_err(|e| text(&e))?;
    let abi = abi(require)?;
    let (sealed, role, grants, locked): (Sealed, Role, Grants, Option<bool>) = match post {
        Post::Broker { identity, grants } => {
            let sealed = broker::enter(*identity, abi, grants).map_err(|e| text(&e))?;
            (sealed, Role::Broker, grants.clone(), None)
        }
        Post::Worker(config) => {
            let locked = config.control.api_key.is_locked();
            let sealed = confine::worker(abi, config).map_err(|e| text(&e))?;
            (sealed, Role::Worker, confine::worker_grants(config), Some(locked))
        }
        Post::Child(profile) => {
            signals::reset().and_then(|()| process::adopt_orphans()).map_err(|e| text(&e))?;
            let sealed = confine::child(abi, profile).map_err(|e| text(&e))?;
            (sealed, confine::child_role(profile), Grants::of_child(profile), None)
        }
        Post::Foreman { .. } | Post::Neighbour { .. } => return Err("this is no role of the agent".into()),
    };
    witness.report(&sealed, role, &grants, require, locked).map_err(|e| text(&e))
}

fn abi(require: u8) -> Result<Abi, String> {
    Kernel::probe().check(require).map_err(|missing| missing.to_string())
}

/// Says a word; waits while the queue is full.
fn tell(socket: &OwnedFd, word: &Word) -> io::Result<()> {
    let frame = serde_json::to_vec(word).map_err(io::Error::other)?;
    loop {
        match message::send(socket, &frame, &[]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                poll::wait(&[Interest::read(socket.as_fd()).or_write(true)], None)?;
            }
            other => return other,
        }
    }
}
