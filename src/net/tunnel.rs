//! Asking a proxy for a connection to somebody else: CONNECT (RFC 9110 section 9.3.6). Worker only.
//!
//! A client of its own because what follows the answer is no HTTP. Nothing that the proxy says is repeated anywhere
//! but the number of its status.

use std::time::Duration;

use http::HeaderValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::address::Host;
use super::stream::Stream;
use super::{Cause, Error, Phase, way};

/// Most bytes of the head of an answer.
const MAX_HEAD: usize = 16 << 10;
/// Bound on the answer. The proxy resolves and connects meanwhile; one that waits for a network that is down must not
/// keep us waiting long after it is up again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks for a connection to `host`. Afterwards the stream is as good as one that leads there.
pub(super) async fn ask(
    stream: &mut Stream,
    host: &Host,
    port: u16,
    authorization: Option<&HeaderValue>,
) -> Result<(), Error> {
    let request = request(host, port, authorization);
    let exchange = async {
        stream.write_all(&request).await?;
        stream.flush().await?;
        read_head(stream).await
    };
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(head)) => judge(&head),
        Ok(Err(error)) => Err(Error::of_proxy(Error::io(Phase::Proxy, &error))),
        Err(_) => Err(Error::unsent(Phase::Proxy, Cause::Timeout, "the proxy does not answer")),
    }
}

fn request(host: &Host, port: u16, authorization: Option<&HeaderValue>) -> Zeroizing<Vec<u8>> {
    let target = match host {
        Host::Address(std::net::IpAddr::V6(address)) => format!("[{address}]:{port}"),
        Host::Address(address) => format!("{address}:{port}"),
        Host::Name(name) => format!("{name}:{port}"),
    };
    let credentials = authorization.map_or(&b""[..], HeaderValue::as_bytes);
    // All at once, so that no copy of the credentials is left behind by a growing buffer.
    let room = 2_usize.saturating_mul(target.len()).saturating_add(credentials.len()).saturating_add(128);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    bytes.extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
    if authorization.is_some() {
        bytes.extend_from_slice(b"Proxy-Authorization: ");
        bytes.extend_from_slice(credentials);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Reads until the head has ended, and not a byte that was not there already.
async fn read_head(stream: &mut Stream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let got = stream.read(&mut chunk).await?;
        if got == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(chunk.get(..got).unwrap_or_default());
        if end(&head).is_some() || head.len() > MAX_HEAD {
            return Ok(head);
        }
    }
}

/// Where the head ends, if it does.
fn end(head: &[u8]) -> Option<usize> {
    head.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at.saturating_add(4))
}

fn judge(head: &[u8]) -> Result<(), Error> {
    let broken = |why| Err(Error::unsent(Phase::Proxy, Cause::Protocol, why));
    let Some(end) = end(head).filter(|end| *end <= MAX_HEAD) else {
        return broken("the head of the proxy's answer is too large");
    };
    let Some(status) = status(head) else { return broken("the proxy does not speak HTTP as it should") };
    let refused = |why: String| Err(Error::unsent(Phase::Proxy, Cause::ProxyRefused, why));
    match status {
        // Neither side of TLS nor HTTP speaks before we do: more bytes come from somebody who should be silent.
        200..=299 if head.len() > end => broken("the proxy speaks out of turn"),
        200..=299 => Ok(()),
        // Tinyproxy answers wrong credentials with 401.
        401 | 407 => Err(way::wants_credentials(status)),
        500..=599 => refused(format!("the proxy could not reach the target ({status})")),
        _ => refused(format!("the proxy refused the connection ({status})")),
    }
}

/// The number in `HTTP/1.x NNN …`.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|b| *b == b'\r').next()?;
    let rest = line.strip_prefix(b"HTTP/1.0 ").or_else(|| line.strip_prefix(b"HTTP/1.1 "))?;
    let digits = rest.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit))?;
    if rest.get(3).is_some_and(|b| *b != b' ') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|n| (200..600).contains(n))
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
