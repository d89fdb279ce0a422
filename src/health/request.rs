//! One HTTP request for health: its head, and whether and what it may be answered. Pure.
//!
//! A page in a browser of this machine must not be able to read what is said here: a name that is not ours in `Host` (DNS
//! rebinding) and an `Origin` that is not ours are refused.

use std::fmt::Write as _;

use core::net::IpAddr;

use crate::config::health::Answers;

/// The longest head of a request, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// The most header fields.
const MAX_FIELDS: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/healthz`.
    Live,
    /// `/readyz`.
    Ready,
    /// `/metrics`.
    Metrics,
    /// `/status`.
    Status,
    /// `/health`; with details, without, or as configured.
    Health(Option<bool>),
    /// `/health/…`: its place in [`COMPONENTS`].
    Component(usize),
}

/// The parts of `/health`.
pub const COMPONENTS: [&str; 9] = [
    "mcp",
    "control-plane",
    "response-delivery",
    "queue",
    "dispatcher",
    "oauth",
    "harpoon",
    "cloudflared",
    "proxy",
];

/// A request that may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// For what.
    pub page: Page,
    /// The head of the answer alone is wanted.
    pub head_only: bool,
}

/// One that may not: status and reason.
pub type Refusal = (u16, &'static str);

/// Reads the head of a request. `None`: it is not complete.
///
/// # Errors
/// Why it is not answered.
pub fn read(bytes: &[u8], rules: &Answers) -> Result<Option<Request>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err((431, "the head of the request is too large"));
        }
        Err(_) => return Err((400, "not an HTTP request")),
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err((405, "GET and HEAD only")),
    };
    let one = |name: &str| {
        let mut all = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        let first = all.next().map(|field| str::from_utf8(field.value).unwrap_or("?"));
        if all.next().is_some() { Err((400, "a header field is there twice")) } else { Ok(first) }
    };
    let (host, origin) = (one("host")?, one("origin")?);
    if !rules.unix {
        let host = host.ok_or((400, "no Host"))?;
        if !is_ours(host, rules) {
            return Err((421, "this is not the host that you mean"));
        }
    }
    let same = |origin: &str| host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    if origin.is_some_and(|origin| rules.unix || !same(origin)) {
        return Err((403, "not for pages of other origins"));
    }
    let page = page(request.path.unwrap_or_default()).ok_or((404, "no such page"))?;
    Ok(Some(Request { page, head_only }))
}

/// Whether `Host` names this machine's loopback or the address that is listened on.
fn is_ours(host: &str, rules: &Answers) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if port.is_empty() || is_port(port) => address,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    if name.eq_ignore_ascii_case("localhost") {
        return true;
    }
    // An address is no name that somebody else could have pointed here.
    let Ok(address) = name.parse::<IpAddr>() else { return false };
    let own = rules.address;
    address.is_loopback() || own.is_some_and(|own| own == address || own.is_unspecified())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
}

fn page(target: &str) -> Option<Page> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Some(match path {
        "/healthz" => Page::Live,
        "/readyz" => Page::Ready,
        "/metrics" => Page::Metrics,
        "/status" => Page::Status,
        "/health" => Page::Health(match query {
            "details=true" => Some(true),
            "details=false" => Some(false),
            _ => None,
        }),
        _ => {
            let name = path.strip_prefix("/health/")?;
            Page::Component(COMPONENTS.iter().position(|component| *component == name)?)
        }
    })
}

/// The answer: status, type and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub kind: &'static str,
    /// The body.
    pub body: String,
}

/// `Content-Type` of a sentence.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// The same of an object.
pub const JSON: &str = "application/json";
/// The same of metrics.
pub const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Answer {
    /// A sentence.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, kind: TEXT, body: text.into() }
    }

    /// Its bytes on a connection that ends with it.
    #[must_use]
    pub fn bytes(&self, head_only: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            421 => "Misdirected Request",
            431 => "Request Header Fields Too Large",
            _ => "Service Unavailable",
        };
        let mut head = String::with_capacity(256);
        // Writing to a text does not fail.
        let _ = write!(
            head,
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n",
            self.status,
            self.kind,
            self.body.len()
        );
        head.push_str(if self.status == 405 { "Allow: GET, HEAD\r\n\r\n" } else { "\r\n" });
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(self.body.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
