//! How a process ends that cannot go on, confined by the steps of a real role.

use std::alloc::{Layout, handle_alloc_error};
use std::collections::BTreeMap;
use std::path::Path;

use argh::FromArgs;
use tunnelward::commands::confinement::{plan::Plan, subject};
use tunnelward::config::{Accounts, Flags, Host};
use tunnelward::confine::report::name_of;
use tunnelward::sys;

/// Confines itself and cannot go on.
#[derive(FromArgs)]
#[argh(subcommand, name = "end")]
pub struct Options {
    /// broker, worker or child
    #[argh(positional)]
    role: String,
    /// panic, memory or stack
    #[argh(positional)]
    how: String,
}

/// Never returns.
pub fn run(options: &Options) {
    sys::panic::abort_the_process();
    let env = BTreeMap::new();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let host = Host { env: &env, uid, gid, accounts: &Accounts::of(Path::new("/etc")) };
    let plan = Plan::make(&Flags::default(), host).unwrap();
    // Worker and child inherit what the broker has.
    for member in &plan.members {
        let role = name_of(member.role);
        if role == "broker" || role == options.role {
            subject::confine(&member.post, plan.require).unwrap();
        }
    }
    match options.how.as_str() {
        "panic" => {
            let computed = String::from("sk-secret");
            panic!("{computed}");
        }
        "memory" => handle_alloc_error(Layout::new::<u64>()),
        _ => std::process::exit(i32::from(overflow(1) == 0)),
    }
}

#[allow(unconditional_recursion, reason = "until the stack is used up")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    overflow(frame[0] + 1) + frame[511]
}
