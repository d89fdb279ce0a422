//! Where a running service answers for its health: as the command line says, else as the configuration does. Connects;
//! reads nothing of what comes.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::health::Listen;
use crate::config::{self, Flags, Host, base64};
use crate::sys::unix;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What a URL of a socket begins with; its path follows in base64url.
const UNIX: &str = "http+unix://";

/// What was said about the place, and what follows.
pub struct Locator {
    /// `url`, `url_file`, `port` or `config`.
    pub kind: &'static str,
    /// As given.
    pub url: Option<String>,
    /// As given, or as the configuration says where it is needed.
    pub url_file: Option<String>,
    /// As given.
    pub port: Option<u16>,
    /// The place, or why there is none.
    pub base: Result<Base, String>,
}

/// A place.
#[derive(Debug, PartialEq, Eq)]
pub struct Base {
    /// Without a slash at its end.
    pub url: String,
    at: At,
}

#[derive(Debug, PartialEq, Eq)]
enum At {
    Tcp { authority: String, addresses: Vec<SocketAddr> },
    Unix(PathBuf),
}

/// From one of the options, else from the configuration.
pub fn find(
    (url, url_file, port): (&Option<String>, &Option<String>, Option<u16>),
    flags: &Flags,
    host: Host<'_>,
) -> Locator {
    let (mut url_file, url) = (url_file.clone(), url.clone());
    let (kind, base) = match (&url, &url_file, port) {
        (Some(url), ..) => ("url", parse(url, true)),
        (_, Some(file), _) => ("url_file", from_file(Path::new(file))),
        (.., Some(port)) => ("port", parse(&format!("http://127.0.0.1:{port}"), false)),
        _ => ("config", configured(flags, host, &mut url_file)),
    };
    Locator { kind, url, url_file, port, base }
}

fn configured(flags: &Flags, host: Host<'_>, url_file: &mut Option<String>) -> Result<Base, String> {
    let health = config::load_health(flags, host)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    match health.listen {
        None => Err("the configuration says health: {enabled: false}".into()),
        Some(Listen::Unix(path)) => Ok(Base { url: format!("unix:{}", path.display()), at: At::Unix(path) }),
        Some(Listen::Tcp(address)) if address.port() == 0 => {
            let file =
                health.url_file.ok_or("health.listen_addr has port 0, and there is no health.url_file")?;
            *url_file = Some(file.display().to_string());
            from_file(&file)
        }
        Some(Listen::Tcp(mut address)) => {
            match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            // The own address of this machine, which the operator allowed the service.
            parse(&format!("http://{address}"), true)
        }
    }
}

fn from_file(path: &Path) -> Result<Base, String> {
    let bytes = config::file(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let text = str::from_utf8(&bytes).map_err(|_| format!("{} holds no URL", path.display()))?;
    parse(text, false).map_err(|why| format!("{}: {why}", path.display()))
}

/// Reads a URL. Names are not looked up: their answers would come from the network into this process.
fn parse(url: &str, remote: bool) -> Result<Base, String> {
    let url = url.trim().trim_end_matches('/');
    if let Some(encoded) = url.strip_prefix(UNIX) {
        let path = base64::bytes(&encoded.replace('-', "+").replace('_', "/"));
        let path =
            path.map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes))).filter(|path| path.is_absolute());
        let path = path.ok_or("behind http+unix:// has to be an absolute path in base64url")?;
        return Ok(Base { url: url.into(), at: At::Unix(path) });
    }
    let authority = url.strip_prefix("http://").ok_or("the URL has to begin with http:// or http+unix://")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().map_err(|_| "the port is no number below 65536")?)
        }
        _ => (authority, 80),
    };
    let ips: Vec<IpAddr> = if host.eq_ignore_ascii_case("localhost") {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let ip =
            bare.parse().map_err(|_| "the host has to be an address or localhost, and nothing follows it")?;
        vec![ip]
    };
    if let Some(ip) = ips.iter().find(|ip| !ip.is_loopback() && !remote) {
        return Err(format!(
            "{ip} is not loopback: an address that others can have has to be named by --url"
        ));
    }
    let addresses = ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    Ok(Base { url: url.into(), at: At::Tcp { authority: authority.into(), addresses } })
}

impl Base {
    /// For the field `Host`.
    pub fn host(&self) -> String {
        match &self.at {
            At::Tcp { authority, .. } => authority.clone(),
            At::Unix(_) => "localhost".into(),
        }
    }

    /// A connection, of which nothing is read here.
    pub fn connect(&self) -> io::Result<OwnedFd> {
        match &self.at {
            At::Unix(path) => unix::connect(path),
            At::Tcp { addresses, .. } => {
                let mut last = io::ErrorKind::InvalidInput.into();
                for address in addresses {
                    match TcpStream::connect_timeout(address, CONNECT_TIMEOUT) {
                        Ok(stream) => return Ok(stream.into()),
                        Err(e) => last = e,
                    }
                }
                Err(last)
            }
        }
    }
}

#[cfg(test)]
#[path = "locate_tests.rs"]
mod tests;
