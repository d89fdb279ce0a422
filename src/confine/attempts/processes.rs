//! Attempts on other processes: a neighbour, which belongs to the same user and hides nothing from it, and the parent.

use std::fs::File;
use std::io;

use rustix::process::{Pid, PidfdFlags, getppid, test_kill_process};

use super::Rule::{Abi, Deny, Open};
use super::{Area, Attempt, Context, EACCES, EPERM, KILLED, Rule, Run, Target};
use crate::sys::attempt;

const fn with(
    name: &'static str,
    what: &'static str,
    [broker, worker, child]: [Rule; 3],
    run: fn(&Context) -> io::Result<()>,
) -> Attempt {
    let (area, target, run) = (Area::Processes, Target::Fixed, Run::With(run));
    Attempt { name, area, what, broker, worker, child, needs_root: false, target, run }
}

const SIGNAL: [Rule; 3] = [Abi(6, EPERM), Deny(KILLED), Abi(6, EPERM)];
const FILTER: [Rule; 3] = [Deny(EPERM), Deny(KILLED), Deny(EPERM)];
const FILE: [Rule; 3] = [Deny(EACCES), Deny(EACCES), Deny(EACCES)];
/// The niceness that is asked for: higher than any, so that nobody needs a right for it.
const NICEST: i32 = 19;

fn neighbour(context: &Context) -> io::Result<Pid> {
    let pid = i32::try_from(context.neighbour).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

pub(super) static TABLE: &[Attempt] = &[
    with("signal-neighbour", "signal a process of the same user", SIGNAL, |c| {
        Ok(test_kill_process(neighbour(c)?)?)
    }),
    with("signal-parent", "signal the parent", SIGNAL, |_| {
        Ok(test_kill_process(getppid().ok_or(io::ErrorKind::NotFound)?)?)
    }),
    with("signal-by-descriptor", "signal a process of the same user by its descriptor", SIGNAL, |c| {
        let fd = rustix::process::pidfd_open(neighbour(c)?, PidfdFlags::empty())?;
        Ok(rustix::process::pidfd_send_signal(fd, rustix::process::Signal::URG)?)
    }),
    with("trace-neighbour", "attach to a process of the same user", FILTER, |c| attempt::seize(c.neighbour)),
    with("read-neighbour-memory", "open the memory of a process of the same user", FILE, |c| {
        File::open(format!("/proc/{}/mem", c.neighbour)).map(drop)
    }),
    with("read-neighbour-environment", "read the environment of a process of the same user", FILE, |c| {
        File::open(format!("/proc/{}/environ", c.neighbour)).map(drop)
    }),
    with(
        "slow-neighbour",
        "lower the priority of a process of the same user",
        [Open, Deny(KILLED), Deny(EPERM)],
        |c| Ok(rustix::process::setpriority_process(Some(neighbour(c)?), NICEST)?),
    ),
    with(
        "limit-neighbour",
        "read a limit of a process of the same user",
        [Open, Deny(KILLED), Deny(EPERM)],
        |c| {
            let unchanged = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
            let core = rustix::process::Resource::Core;
            Ok(rustix::process::prlimit(Some(neighbour(c)?), core, unchanged).map(drop)?)
        },
    ),
];
