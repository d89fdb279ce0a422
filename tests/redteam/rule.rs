//! One system call below one filter of the policy, and nothing else of the confinement. The exit code is the errno.

#![allow(
    unsafe_code,
    reason = "the calls are those of the policy's rules, with whatever arguments they speak of"
)]

use std::process::ExitCode;

use argh::FromArgs;
use tunnelward::confine::seccomp;

/// Makes one system call below one filter of the policy.
#[derive(FromArgs)]
#[argh(subcommand, name = "rule")]
pub struct Options {
    /// name of the filter; `none` for the control
    #[argh(positional)]
    filter: String,
    /// number of the call
    #[argh(positional)]
    number: i64,
    /// its six arguments
    #[argh(positional)]
    arguments: Vec<u64>,
}

/// Makes it.
pub fn run(options: &Options) -> ExitCode {
    if options.filter != "none" {
        seccomp::apply(seccomp::program(&options.filter).expect("a filter of the policy")).unwrap();
    }
    let a = &options.arguments;
    // What a call does to this process ends with it.
    let answer = unsafe { libc::syscall(options.number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    let errno = if answer == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
    unsafe { libc::_exit(errno) }
}
