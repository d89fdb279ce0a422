//! Processes that a dead MCP server left behind. Broker only.
//!
//! Every server adopts the orphans among its own descendants, and the broker those of its servers: so a child that
//! the broker did not start is what a dead server left behind, in whatever group or session it hides. It is killed.

use std::time::{Duration, Instant};

use crate::log::Log;
use crate::sys::process;

/// How long the end of the service waits for them.
const LAST_SWEEP: Duration = Duration::from_secs(5);
/// Between two looks of the last sweep.
const PAUSE: Duration = Duration::from_millis(5);

/// Kills the children that are not in `known`. How many there still are: those that were killed, but whose end the
/// kernel has not reported yet.
pub fn sweep(known: &[u32], log: &Log) -> usize {
    let strays = process::children().into_iter().filter(|pid| !known.contains(pid));
    let mut left = 0_usize;
    for pid in strays {
        match process::kill_and_reap(pid) {
            Ok(gone) => {
                if gone {
                    log.info(
                        "broker",
                        "a process that an mcp server left behind was ended",
                        &[("pid", pid.into())],
                    );
                } else {
                    left = left.saturating_add(1);
                }
            }
            Err(e) => {
                let fields = [("pid", pid.into()), ("error", e.to_string().into())];
                log.warn("broker", "a process that an mcp server left behind cannot be ended", &fields);
            }
        }
    }
    left
}

/// Sweeps until nothing is left, when the service ends. What forks faster than it is killed is for the unit's control
/// group to end.
pub fn sweep_all(log: &Log) {
    let until = Instant::now() + LAST_SWEEP;
    while sweep(&[], log) > 0 {
        if Instant::now() > until {
            log.error("broker", "processes of mcp servers are left behind", &[]);
            return;
        }
        std::thread::sleep(PAUSE);
    }
}
