//! Whether the health listener can have its address. The address is bound and released; when somebody holds it, the holder
//! is asked who it is, by a confined process: nothing of its answer is read here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use super::{Case, advice};
use crate::broker::errand;
use crate::config::health::{DEFAULT_ADDRESS, Listen};
use crate::config::{self, Flags, keys};
use crate::sys::unix;
use crate::worker::inquire::{self, Found, Page, Task};

const ID: &str = "health_listener";
/// Bound on the connection to the holder.
const PATIENCE: Duration = Duration::from_secs(2);

/// The check.
pub fn check(case: &mut Case<'_>, flags: &Flags) {
    let listen = match config::load_health(flags, case.host) {
        Ok(health) => health.listen,
        Err(_) => {
            let next = "mend the checks that failed first";
            return case.report.skip(ID, "what is said of the listener cannot be used", next);
        }
    };
    match listen {
        None => case.report.pass(ID, "there is none: health.enabled is false"),
        Some(Listen::Tcp(address)) => tcp(case, address),
        Some(Listen::Unix(path)) => socket(case, &path),
    }
}

fn tcp(case: &mut Case<'_>, address: SocketAddr) {
    let error = match TcpListener::bind(address) {
        Ok(_) => return case.report.pass(ID, format!("{address} is free")),
        Err(error) => error,
    };
    let local = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let local = SocketAddr::new(local, address.port());
    let holder = TcpStream::connect_timeout(&local, PATIENCE);
    if holder.is_ok_and(|stream| is_ours(stream.into(), local.to_string())) {
        return case.report.pass(ID, format!("{address} is held by the running service"));
    }
    let said = case.peek.one(&keys::HEALTH_LISTEN_ADDR);
    let key = said.map_or_else(|| keys::HEALTH_LISTEN_ADDR.yaml.to_owned(), |said| said.place);
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let next = case.target().change(&key, &free.unwrap_or(DEFAULT_ADDRESS).to_string());
    let summary = format!("{address} cannot be bound: {error}");
    let why = "another program holds the address, or it is not one that this user may bind";
    case.report.fail(ID, &summary, [why, &error.to_string(), &next]);
}

fn socket(case: &mut Case<'_>, path: &Path) {
    let shown = path.display();
    if let Ok(connection) = unix::connect(path) {
        if is_ours(connection, "localhost".into()) {
            return case.report.pass(ID, format!("{shown} is held by the running service"));
        }
        let next = case.target().remove(keys::HEALTH_UNIX_SOCKET.yaml);
        let why = "another program listens there";
        return case.report.fail(ID, &format!("{shown} is in use"), [why, "it accepts connections", &next]);
    }
    if path.exists() {
        return case.report.pass(ID, format!("{shown} is there, and nobody listens"));
    }
    match UnixListener::bind(path) {
        Ok(_) => {
            drop(std::fs::remove_file(path));
            case.report.pass(ID, format!("{shown} is free"));
        }
        Err(e) => {
            let directory = path.parent().map(|parent| parent.display().to_string()).unwrap_or_default();
            let why = "the socket cannot be made";
            let next = advice::run("install -d -m 0700", &directory);
            case.report.fail(ID, &format!("{shown}: {e}"), [why, &e.to_string(), &next]);
        }
    }
}

/// Whether the holder's status is that of one of us: it names the version of the agent.
fn is_ours(connection: OwnedFd, host: String) -> bool {
    let task = Task { host, page: Page::Document };
    let found: Result<Found, _> = errand::run_with(inquire::ROLE, &task, Some(connection), inquire::BOUND);
    found.is_ok_and(|found| found.value.is_some_and(|status| status.get("agent_version").is_some()))
}
