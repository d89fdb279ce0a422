//! A lesser kernel for one program and everything it starts: an outer seccomp filter answers named system calls with
//! an error, and a supervisor answers for Landlock as an older kernel would.
//!
//! The program keeps the process it was started in, and the supervisor is no child of it. The supervisor reads memory
//! of the program to refuse what the older kernel does not know; where it may not (a process closed to its user, seen
//! by an ordinary user), the pretended version is all it shows.

#![allow(
    unsafe_code,
    reason = "filters with a listener, and what the kernel says through it, have no safe counterpart"
)]

use std::io::{Error, Result};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;

use argh::FromArgs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// From landlock(7): asks for the version instead of creating a ruleset.
const VERSION: u64 = 1;

/// What each version of Landlock brought (the kernel's `uapi/linux/landlock.h`): the rights on files, on the network,
/// and the scopes that are known from it on, as masks.
const KNOWN: [(u64, u64, u64); 8] = [
    (0, 0, 0),
    (0x1fff, 0, 0),
    (0x3fff, 0, 0),
    (0x7fff, 0, 0),
    (0x7fff, 0x3, 0),
    (0xffff, 0x3, 0),
    (0xffff, 0x3, 0x3),
    (0xffff, 0x3, 0x3),
];

/// The first version whose `landlock_restrict_self` has flags.
const RESTRICT_FLAGS: usize = 7;

/// Starts a program as if the kernel were a lesser one.
#[derive(FromArgs)]
#[argh(subcommand, name = "outer")]
pub struct Options {
    /// a call that fails, as CALL=ERROR or, for one value of its first argument, CALL:NUMBER=ERROR
    #[argh(option)]
    refuse: Vec<String>,
    /// the version of Landlock that the kernel seems to have, 0 to 7
    #[argh(option)]
    landlock_abi: Option<usize>,
    /// the program and its arguments
    #[argh(positional, greedy)]
    program: Vec<String>,
}

/// Becomes the program.
pub fn run(options: &Options) {
    // SAFETY: integers go in; the call changes an attribute of this process and touches no memory.
    assert_eq!(
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) },
        0,
        "{}",
        Error::last_os_error()
    );
    if let Some(abi) = options.landlock_abi {
        pretend(abi);
    }
    // Last: a call that the supervisor's preparation needs may be among them.
    for spelling in &options.refuse {
        seccompiler::apply_filter(&refusal(spelling)).expect(spelling);
    }
    let error = std::process::Command::new(&options.program[0]).args(&options.program[1..]).exec();
    panic!("{}: {error}", options.program[0]);
}

/// The filter that answers one call with one error.
fn refusal(spelling: &str) -> BpfProgram {
    let (call, error) = spelling.split_once('=').expect(spelling);
    let (call, first) = call.split_once(':').map_or((call, None), |(call, first)| (call, Some(first)));
    let number = match call {
        "close_range" => libc::SYS_close_range,
        "landlock_create_ruleset" => libc::SYS_landlock_create_ruleset,
        "prctl" => libc::SYS_prctl,
        "seccomp" => libc::SYS_seccomp,
        _ => panic!("the number of {call} is not known here"),
    };
    let error = match error {
        "EINVAL" => libc::EINVAL,
        "ENOSYS" => libc::ENOSYS,
        "EOPNOTSUPP" => libc::EOPNOTSUPP,
        "EPERM" => libc::EPERM,
        _ => panic!("the number of {error} is not known here"),
    };
    let rules = first.map(|first| {
        let first = first.parse().expect(spelling);
        let equal = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, first).unwrap();
        SeccompRule::new(vec![equal]).unwrap()
    });
    let rules = [(number, rules.into_iter().collect())].into_iter().collect();
    let answer = SeccompAction::Errno(u32::try_from(error).unwrap());
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch).unwrap().try_into().unwrap()
}

/// From here on a supervisor answers for Landlock.
fn pretend(abi: usize) {
    assert!(abi < KNOWN.len(), "no such version: {abi}");
    let (mine, its) = UnixDatagram::pair().unwrap();
    // Forked twice, so that the program is not the parent: an agent looks after the children it has.
    // SAFETY: this process has one thread, so the copy is whole.
    let between = unsafe { libc::fork() };
    if between == 0 {
        // SAFETY: as above.
        let supervisor = unsafe { libc::fork() };
        if supervisor == 0 {
            drop(mine);
            supervise(&its, abi).expect("the supervisor");
        }
        std::process::exit(i32::from(supervisor < 0));
    }
    drop(its);
    let mut status = 0;
    // SAFETY: the status is an integer of this function, valid for the call.
    assert_eq!(unsafe { libc::waitpid(between, &raw mut status, 0) }, between, "{}", Error::last_os_error());
    assert_eq!(status, 0, "the supervisor could not be started");
    let listener = listen().expect("a filter with a listener");
    send(&mine, &listener).expect("handing over the listener");
    // The supervisor listens before the program runs.
    mine.recv(&mut [0]).unwrap();
}

/// Installs the filter that asks about Landlock; the answers are given through what is returned.
fn listen() -> Result<OwnedFd> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code.try_into().unwrap(), jt: 0, jf: 0, k };
    let equal = |number: libc::c_long, jt: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K).try_into().unwrap(),
        jt,
        jf: 0,
        k: u32::try_from(number).unwrap(),
    };
    // The number of the call is the first member of what the filter sees. No agent runs in another architecture.
    let mut filter = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        equal(libc::SYS_landlock_create_ruleset, 3),
        equal(libc::SYS_landlock_add_rule, 2),
        equal(libc::SYS_landlock_restrict_self, 1),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF),
    ];
    let program = libc::sock_fprog { len: filter.len().try_into().unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: the program and its instructions live for the call, and the kernel copies them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let fd = i32::try_from(fd).unwrap();
    // SAFETY: the kernel has made this descriptor for us a moment ago, and nothing else owns it.
    if fd < 0 { Err(Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

fn send(to: &UnixDatagram, fd: &OwnedFd) -> Result<()> {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let fds = [fd.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(to, &[std::io::IoSlice::new(b"!")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(from: &UnixDatagram) -> Result<OwnedFd> {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    recvmsg(from, &mut [std::io::IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.ok_or_else(|| Error::other("the program was not started"))
}

/// Answers until nobody is left who could ask.
fn supervise(channel: &UnixDatagram, abi: usize) -> Result<()> {
    let listener = receive(channel)?;
    // Whoever reads what the program writes must see its end, so these are not kept open. A signal to the group of the
    // program is not for this process.
    rustix::process::setsid()?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    channel.send(b"!")?;
    loop {
        let mut wait = [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut wait, None)?;
        if !wait[0].revents().contains(rustix::event::PollFlags::IN) {
            return Ok(());
        }
        // SAFETY: the kernel wants it zeroed, and all of its members are integers.
        let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the request names the type of what is pointed to, which is valid for the call.
        if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut asked) } != 0 {
            // The process that asked was killed meanwhile.
            continue;
        }
        let (val, error, flags) = match answer(&asked, abi) {
            Answer::Version => (abi.try_into().unwrap(), 0, 0),
            Answer::Error(number) => (0, -number, 0),
            Answer::Kernel => (0, 0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap()),
        };
        let reply = libc::seccomp_notif_resp { id: asked.id, val, error, flags };
        // SAFETY: as above; the kernel only reads it. Whether the process still waits does not matter.
        let _ =
            unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const reply) };
    }
}

/// What becomes of a call.
enum Answer {
    /// It returns the version.
    Version,
    /// It fails with this number.
    Error(i32),
    /// The kernel of this machine is asked.
    Kernel,
}

fn answer(asked: &libc::seccomp_notif, abi: usize) -> Answer {
    let [attributes, size, flags, ..] = asked.data.args;
    let second = size;
    match libc::c_long::from(asked.data.nr) {
        _ if abi == 0 => Answer::Error(libc::EOPNOTSUPP),
        libc::SYS_landlock_create_ruleset if flags == VERSION => Answer::Version,
        libc::SYS_landlock_create_ruleset if flags != 0 => Answer::Error(libc::EINVAL),
        libc::SYS_landlock_create_ruleset => match masks(asked.pid, attributes, size) {
            Some((files, net, scopes)) => {
                let known = KNOWN[abi];
                // An older kernel says E2BIG when members that it does not know are not zero, and EINVAL for rights.
                if (known.1 == 0 && net != 0) || (known.2 == 0 && scopes != 0) {
                    Answer::Error(libc::E2BIG)
                } else if files & !known.0 != 0 || net & !known.1 != 0 || scopes & !known.2 != 0 {
                    Answer::Error(libc::EINVAL)
                } else {
                    Answer::Kernel
                }
            }
            None => Answer::Kernel,
        },
        libc::SYS_landlock_restrict_self if second != 0 && abi < RESTRICT_FLAGS => {
            Answer::Error(libc::EINVAL)
        }
        _ => Answer::Kernel,
    }
}

/// The rights that a ruleset is to handle, if the memory of the process can be read.
fn masks(pid: u32, address: u64, size: u64) -> Option<(u64, u64, u64)> {
    use std::os::unix::fs::FileExt;
    let mut bytes = [0; 24];
    let size = usize::try_from(size).ok()?.min(bytes.len());
    std::fs::File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut bytes[..size], address).ok()?;
    let member = |n: usize| u64::from_ne_bytes(bytes[8 * n..8 * n + 8].try_into().unwrap());
    Some((member(0), member(1), member(2)))
}
