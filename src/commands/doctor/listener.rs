//! Whether the health listener can have its address. The address is bound and released; when somebody holds it, the holder
//! is asked who it is.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::{Case, advice};
use crate::config::keys;

const ID: &str = "health_listener";
/// Where it listens when nothing else is said.
const DEFAULT: &str = "127.0.0.1:8080";
/// Bound on each step of asking the holder.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most bytes of its answer that are looked at.
const MAX_ANSWER: u64 = 4096;

/// The check.
pub fn check(case: &mut Case<'_>) {
    if let Some(said) = case.peek.one(&keys::HEALTH_UNIX_SOCKET) {
        let path = said.text.expose().trim().to_owned();
        return socket(case, &path);
    }
    let said = case.peek.one(&keys::HEALTH_LISTEN_ADDR);
    let key = said.as_ref().map_or(keys::HEALTH_LISTEN_ADDR.yaml.to_owned(), |said| said.place.clone());
    let text = said.map_or_else(|| DEFAULT.to_owned(), |said| said.text.expose().trim().to_owned());
    let text = match text.strip_prefix("env:") {
        Some(name) => case.host.env.get(name).cloned().unwrap_or_default(),
        None => text,
    };
    let Some(address) = address(&text) else {
        let next = case.target().change(&key, DEFAULT);
        return case.report.skip(ID, "the address is a name or not one", &next);
    };
    let error = match TcpListener::bind(address) {
        Ok(_) => return case.report.pass(ID, format!("{address} is free")),
        Err(error) => error,
    };
    let local = if address.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address.ip() };
    let holder = TcpStream::connect_timeout(&SocketAddr::new(local, address.port()), PATIENCE);
    let ours = holder.is_ok_and(|stream| {
        let patient = stream.set_read_timeout(Some(PATIENCE)).is_ok();
        patient
            && stream.set_write_timeout(Some(PATIENCE)).is_ok()
            && is_ours(OwnedFd::from(stream).into(), &text)
    });
    if ours {
        return case.report.pass(ID, format!("{address} is held by the running service"));
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
    let free = free.map_or_else(|_| DEFAULT.to_owned(), |address| address.to_string());
    let next = case.target().change(&key, &free);
    let summary = format!("{address} cannot be bound: {error}");
    let why = "another program holds the address, or it is not one that this user may bind";
    case.report.fail(ID, &summary, [why, &error.to_string(), &next]);
}

fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host {
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other.trim_matches(['[', ']']).parse().ok()?,
    };
    Some(SocketAddr::new(host, port.parse().ok()?))
}

fn socket(case: &mut Case<'_>, path: &str) {
    let shown = path;
    let path = Path::new(path);
    if let Ok(stream) = UnixStream::connect(path) {
        let patient = stream.set_read_timeout(Some(PATIENCE)).is_ok();
        if patient && is_ours(OwnedFd::from(stream).into(), "localhost") {
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

/// Whether the holder calls itself what we are. Its answer is looked through for two words and goes nowhere.
fn is_ours(mut stream: File, host: &str) -> bool {
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    if stream.write_all(request.as_bytes()).is_err() {
        return false;
    }
    // What came before a failure counts.
    let _ = stream.take(MAX_ANSWER).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let flavor = text.split_once("\"flavor\"").map(|(_, rest)| rest.trim_start_matches([':', ' ']));
    flavor.is_some_and(|flavor| flavor.starts_with("\"tunnelward"))
}
