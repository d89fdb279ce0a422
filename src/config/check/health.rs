//! `health.*` and `process.pid_file`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::health::{Answers, DEFAULT_ADDRESS, Health, Listen};
use crate::config::keys::{self, Key};
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::reference::{Reference, Spelling};
use crate::config::sources::Sources;

/// The longest path of a Unix socket: `sun_path` of sockaddr_un, and its final zero.
const MAX_SOCKET: usize = 107;

/// The sections, for the broker and for the worker.
pub fn health(s: &mut Sources<'_>) -> (Health, Answers) {
    let enabled = s.truth(&keys::HEALTH_ENABLED, true);
    let remote = s.truth(&keys::HEALTH_ALLOW_REMOTE, false);
    let details = s.truth(&keys::HEALTH_SHOW_DETAILS, false);
    let address = address(s, remote);
    let socket = path(s, &keys::HEALTH_UNIX_SOCKET);
    if let Some((place, socket)) = &socket
        && socket.as_os_str().len() > MAX_SOCKET
    {
        let why = format!("a Unix socket's path has at most {MAX_SOCKET} bytes");
        s.refuse(Problem::new(place, why).found(socket.as_os_str().len().to_string()));
    }
    let mut only = |key| path(s, key).map(|(_, path)| path);
    let (url_file, pid_file) = (only(&keys::HEALTH_URL_FILE), only(&keys::PID_FILE));
    let listen = match socket {
        Some((_, socket)) => Listen::Unix(socket),
        None => Listen::Tcp(address),
    };
    let unix = matches!(listen, Listen::Unix(_));
    let answers = Answers { details, unix, address: Some(address.ip()).filter(|_| !unix) };
    (Health { listen: enabled.then_some(listen), url_file: url_file.filter(|_| enabled), pid_file }, answers)
}

/// The text of a setting that may be a reference.
fn text(s: &mut Sources<'_>, key: &Key) -> Option<(Place, String)> {
    let given = s.one_filled(key)?;
    let text = match Reference::parse(given.text.expose(), Spelling::AnyCase) {
        None => given.trimmed().to_string(),
        Some(reference) => match s.resolve(reference, &given.place, key.name()) {
            Ok(text) => text.expose().to_string(),
            Err(problem) => {
                s.refuse(problem);
                return None;
            }
        },
    };
    Some((given.place, text)).filter(|(_, text)| !text.is_empty())
}

fn address(s: &mut Sources<'_>, remote: bool) -> SocketAddr {
    let Some((place, text)) = text(s, &keys::HEALTH_LISTEN_ADDR) else { return DEFAULT_ADDRESS };
    let Some(address) = parse(&text) else {
        let problem = Problem::new(&place, "must be host:port, with an address or localhost as host");
        s.refuse(problem.found(show(&text)));
        return DEFAULT_ADDRESS;
    };
    if !address.ip().is_loopback() && !remote {
        let problem = Problem::new(
            &place,
            "would answer every machine that reaches this address, without asking who it is",
        );
        s.refuse(problem.found(show(&text)).hint(
            "set health.listen_addr to 127.0.0.1 and the port, or, in the file, health: {allow_remote: true}",
        ));
    }
    address
}

/// No name but localhost: what another one stands for may change.
fn parse(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let ip: IpAddr = match host {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        _ if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        _ => match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().ok()?.into(),
            None => host.parse::<Ipv4Addr>().ok()?.into(),
        },
    };
    Some(SocketAddr::new(ip, port))
}

fn path(s: &mut Sources<'_>, key: &Key) -> Option<(Place, PathBuf)> {
    let (place, text) = text(s, key)?;
    let path = expand(&text, s.host);
    if !path.is_absolute() || path.file_name().is_none() {
        s.refuse(Problem::new(&place, "must be an absolute path of a file").found(show(&text)));
        return None;
    }
    s.own.add(key.yaml, &path);
    Some((place, path))
}
