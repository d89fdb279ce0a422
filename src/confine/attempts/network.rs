//! Attempts on the network: with sockets as the worker itself makes them, so that it is Landlock that it meets where
//! its filter has to let it through.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::Rule::{Abi, Deny, Inet, Open, Unix};
use super::{Area, Attempt, Context, EACCES, EPERM, KILLED, Outcome, Rule, Run, Target};
use crate::sys::attempt::{self, Call};
use crate::sys::errno;

const fn with(
    name: &'static str,
    what: &'static str,
    [broker, worker, child]: [Rule; 3],
    target: Target,
    run: fn(&Context) -> io::Result<()>,
) -> Attempt {
    let (area, run) = (Area::Network, Run::With(run));
    Attempt { name, area, what, broker, worker, child, needs_root: false, target, run }
}

const fn call(name: &'static str, what: &'static str, call: Call, broker: Rule, child: Rule) -> Attempt {
    let (area, run) = (Area::Network, Run::Call(call));
    Attempt {
        name,
        area,
        what,
        broker,
        worker: Deny(KILLED),
        child,
        needs_root: false,
        target: Target::Fixed,
        run,
    }
}

const fn root(attempt: Attempt) -> Attempt {
    Attempt { needs_root: true, ..attempt }
}

/// Nothing waits: what does not end at once is under way, which is a success here.
fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::INET, kind, flags, None)?)
}

fn connect(socket: &OwnedFd, ip: Ipv4Addr, port: u16) -> io::Result<()> {
    match rustix::net::connect(socket, &SocketAddrV4::new(ip, port)) {
        Err(rustix::io::Errno::INPROGRESS) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Where machines of the clouds tell their secrets.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const HTTP: u16 = 80;
const TCP: [Rule; 3] = [Abi(4, EACCES), Abi(4, EACCES), Inet(&Abi(4, EACCES))];

pub(super) static TABLE: &[Attempt] = &[
    with("connect-tcp", "connect to a TCP port that is not granted", TCP, Target::Port(|c| c.port), |c| {
        connect(&socket(SocketType::STREAM)?, Ipv4Addr::LOCALHOST, c.port)
    }),
    with("connect-metadata", "connect to 169.254.169.254:80", TCP, Target::Port(|_| HTTP), |_| {
        connect(&socket(SocketType::STREAM)?, METADATA, HTTP)
    }),
    with("bind-tcp", "bind a TCP socket", TCP, Target::Fixed, |_| {
        let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        Ok(rustix::net::bind(socket(SocketType::STREAM)?, &any)?)
    }),
    with(
        "listen-tcp",
        "listen on a TCP port",
        [Abi(4, EACCES), Deny(KILLED), Inet(&Abi(4, EACCES))],
        Target::Fixed,
        |_| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop),
    ),
    with(
        "send-fast-open",
        "send data with the first packet to a port that is not granted (MSG_FASTOPEN)",
        [Open, Deny(KILLED), Inet(&Deny(EPERM))],
        Target::Fixed,
        |c| attempt::send_fast_open(&socket(SocketType::STREAM)?, c.port),
    ),
    with(
        "set-fast-open",
        "ask for the same by the option TCP_FASTOPEN_CONNECT",
        [Open, Deny(Outcome::Errno(errno::ENOPROTOOPT)), Inet(&Deny(EPERM))],
        Target::Fixed,
        |_| attempt::set_fast_open(&socket(SocketType::STREAM)?),
    ),
    with(
        "connect-udp",
        "send UDP to a port other than that of name servers",
        [Abi(10, EACCES), Abi(10, EACCES), Inet(&Abi(10, EACCES))],
        Target::Fixed,
        |c| connect(&socket(SocketType::DGRAM)?, Ipv4Addr::LOCALHOST, c.port),
    ),
    with(
        "socket-udplite",
        "make a UDP-Lite socket",
        [Open, Deny(KILLED), Deny(EACCES)],
        Target::Fixed,
        |_| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let protocol = Some(rustix::net::ipproto::UDPLITE);
            Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, protocol).map(drop)?)
        },
    ),
    with(
        "connect-abstract",
        "connect to an abstract Unix socket of the same user",
        [Abi(6, EPERM), Deny(KILLED), Unix(&Abi(6, EPERM))],
        Target::Fixed,
        |c| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            let name = SocketAddrUnix::new_abstract_name(c.abstract_socket.as_bytes())?;
            Ok(rustix::net::connect(socket, &name)?)
        },
    ),
    call("socket-mptcp", "make a socket of Multipath TCP", attempt::SOCKET_MPTCP, Open, Deny(EACCES)),
    root(call("socket-raw", "make a raw socket", attempt::SOCKET_RAW, Deny(EPERM), Deny(EACCES))),
    root(call("socket-packet", "make a packet socket", attempt::SOCKET_PACKET, Deny(EPERM), Deny(EPERM))),
    call("socket-netlink", "make a netlink socket", attempt::SOCKET_NETLINK, Open, Open),
    call("socket-vsock", "make a socket to the hypervisor", attempt::SOCKET_VSOCK, Deny(EPERM), Deny(EPERM)),
    call(
        "socket-alg",
        "make a socket to the kernel's ciphers",
        attempt::SOCKET_ALG,
        Deny(EPERM),
        Deny(EPERM),
    ),
    call("socket-unix", "make a Unix socket", attempt::SOCKET_UNIX, Open, Unix(&Open)),
    call("socketpair", "make a pair of Unix sockets", attempt::SOCKETPAIR, Open, Open),
    call("listen", "listen", attempt::LISTEN, Open, Open),
    call("accept", "accept a connection", attempt::ACCEPT, Open, Open),
];
