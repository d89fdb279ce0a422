//! A worker that was taken over: it confines itself as every worker does, because that happens before it hears a byte
//! of the network, and then does what the organization id of its configuration says: `VERB ARGUMENT`.
//!
//! It says on stderr what came of it: `attack: …`.

#![allow(unsafe_code, reason = "an attacker is not held to the house rules")]

use std::io::Write as _;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::ExitCode;

use tunnelward::config::types::Worker as Config;
use tunnelward::confine::{self, kernel::Kernel};
use tunnelward::ipc::channel::{Channel, Received};
use tunnelward::ipc::msg::{FromWorker, ToWorker};
use tunnelward::sys::{memfd, message, poll, process};

/// Takes the part.
pub fn run() -> ExitCode {
    let socket = process::enter_worker().unwrap();
    let raw = socket.try_clone().unwrap();
    let mut channel = Channel::<FromWorker, ToWorker>::new(socket);
    poll::wait(&[poll::Interest::read(raw.as_fd())], None).unwrap();
    let Received::Frame(messages, fds) = channel.recv().unwrap() else { panic!("no configuration") };
    let [ToWorker::Config { size, .. }] = &messages[..] else { panic!("{messages:?}") };
    let json = memfd::read_sealed(&fds[0], *size).unwrap();
    let config: Config = serde_json::from_slice(&json).unwrap();
    let broker = rustix::process::getppid().unwrap().as_raw_nonzero().get();
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let abi = Kernel::probe().check(config.require).unwrap();
    let sealed = confine::worker(abi, &config).unwrap();
    let facts = sealed.facts();
    channel.queue(&FromWorker::Ready { landlock: facts.landlock, filters: facts.filters }, vec![]).unwrap();
    channel.flush().unwrap();
    let order = config.control.organization.clone().unwrap_or_default();
    let (verb, argument) = order.split_once(' ').unwrap_or((&order, ""));
    let argument = argument.replace("BROKER", &broker.to_string());
    say(&format!("trying {order}"));
    let outcome = match verb {
        "read" => std::fs::File::open(&argument).map(|_| ()),
        "connect" => connect(argument.parse().unwrap()),
        "exec" => exec(&argument),
        "kill" => unsafe { os(libc::kill(broker, libc::SIGKILL)) },
        // SIGABRT is what the filter lets it send: to itself, the policy hopes.
        "abort" => tkill(broker),
        "abort-all" => (broker - 200..broker + 200)
            .filter(|pid| *pid != own)
            .try_for_each(|pid| match tkill(pid) {
                Ok(()) => Err(std::io::Error::other(format!("signalled {pid}"))),
                Err(_) => Ok(()),
            })
            .and_then(|()| Err(std::io::Error::other("nobody was signalled"))),
        "send" => message::send(&raw, argument.as_bytes(), &[]),
        "send-long" => message::send(&raw, &vec![b' '; 70_000], &[]),
        "send-descriptor" => message::send(&raw, b"[{\"poll_ok\":{}}]", &[raw.as_fd()]),
        // No attacks: how a process ends that cannot go on. In the release a panic is an abort.
        "end-abort" => std::process::abort(),
        "end-memory" => std::alloc::handle_alloc_error(std::alloc::Layout::new::<u64>()),
        "end-overflow" => Err(std::io::Error::other(overflow(1).to_string())),
        other => panic!("no attack {other}"),
    };
    say(&match outcome {
        Ok(()) => "it worked".to_string(),
        Err(e) => format!("refused: {e}"),
    });
    // The broker kills whoever broke the protocol; the others wait to be told to go.
    loop {
        let mut waiting = libc::pollfd { fd: raw.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&raw mut waiting, 1, -1) };
        match channel.recv() {
            Ok(Received::Frame(messages, _))
                if messages.iter().any(|m| matches!(m, ToWorker::Drain { .. })) =>
            {
                channel.queue(&FromWorker::Drained { unfinished: 0 }, vec![]).unwrap();
                channel.flush().unwrap();
                return ExitCode::SUCCESS;
            }
            Ok(Received::Closed) | Err(_) => return ExitCode::FAILURE,
            Ok(_) => {}
        }
    }
}

#[allow(unconditional_recursion, reason = "until the stack is used up")]
fn overflow(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 512]);
    overflow(frame[0] + 1) + frame[511]
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "attack: {text}");
}

fn exec(program: &str) -> std::io::Result<()> {
    let program = std::ffi::CString::new(program).unwrap();
    let argv = [program.as_ptr(), std::ptr::null()];
    unsafe { os(libc::execv(program.as_ptr(), argv.as_ptr())) }
}

/// By the calls that the filter allows, so that the port is judged.
fn connect(to: SocketAddrV4) -> std::io::Result<()> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let address = libc::sockaddr_in {
        sin_family: u16::try_from(libc::AF_INET).unwrap(),
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap();
    unsafe {
        let socket = libc::socket(libc::AF_INET, kind, 0);
        os(socket)?;
        os(libc::connect(socket, (&raw const address).cast(), len))
    }
}

fn tkill(pid: i32) -> std::io::Result<()> {
    let answer = unsafe { libc::syscall(libc::SYS_tkill, pid, libc::SIGABRT) };
    os(i32::try_from(answer).unwrap())
}

fn os(answer: i32) -> std::io::Result<()> {
    if answer < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
