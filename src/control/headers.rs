//! The headers of every control-plane request, and which headers of an MCP server may reach the control plane. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::types::{Binding, Channel, Transport, Worker};

/// The name of this client, in `User-Agent` and `X-Tunnel-Client-Name`.
pub const CLIENT_NAME: &str = env!("CARGO_PKG_NAME");
/// Its version.
pub const CLIENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The revision of the protocol between client and control plane; its absence would mean an older one.
pub const WIRE_PROTOCOL_VERSION: &str = "2026-08-25";
/// The most channels that a client may declare.
pub const MAX_CHANNELS: usize = 32;
/// The longest `X-Tunnel-MCP-Server-Info`, in bytes.
pub const MAX_SERVER_INFO: usize = 4096;

/// Names a command's shard for a response.
pub const SHARD_TOKEN: HeaderName = HeaderName::from_static("x-tunnel-shard-token");
/// Carries the connector's request id back.
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");

const SERVER_INFO: HeaderName = HeaderName::from_static("x-tunnel-mcp-server-info");
const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");

/// What an operator's extra header never replaces: who we are, what we accept, and how a message is framed.
const PROTECTED: [HeaderName; 21] = [
    header::AUTHORIZATION,
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::USER_AGENT,
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("x-tunnel-client-name"),
    HeaderName::from_static("x-tunnel-client-version"),
    HeaderName::from_static("x-tunnel-client-instance-id"),
    HeaderName::from_static("x-tunnel-client-wire-protocol-version"),
    SERVER_INFO,
    SHARD_TOKEN,
    CLIENT_REQUEST_ID,
];

/// Configuration that cannot be expressed in headers. Names the item, never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not a legal header name, or a value that is not legal.
    Header(String),
    /// No channel would be declared.
    NoChannels,
    /// More than [`MAX_CHANNELS`].
    TooManyChannels(usize),
    /// A declaration longer than [`MAX_SERVER_INFO`].
    ServerInfoTooLong(usize),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name:?} is not legal"),
            Self::NoChannels => f.write_str("there is no channel to declare"),
            Self::TooManyChannels(n) => write!(f, "{n} channels; at most {MAX_CHANNELS} can be declared"),
            Self::ServerInfoTooLong(n) => {
                write!(f, "the declaration of channels has {n} bytes; at most {MAX_SERVER_INFO} are legal")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Builds the headers that every request carries. The second part names extra headers that were left out because
/// they would have replaced a protected one.
///
/// # Errors
/// When a value is not legal in a header, or the channels cannot be declared.
pub fn base(config: &Worker, instance_id: &str) -> Result<(HeaderMap, Vec<String>), Error> {
    let control = &config.control;
    let mut map = HeaderMap::with_capacity(16);
    let bearer = zeroize::Zeroizing::new(format!("Bearer {}", control.api_key.expose()));
    map.insert(header::AUTHORIZATION, value("Authorization", &bearer, true)?);
    map.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    map.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    map.insert(header::USER_AGENT, value("User-Agent", &format!("{CLIENT_NAME}/{CLIENT_VERSION}"), false)?);
    let own = [
        ("x-tunnel-client-name", CLIENT_NAME),
        ("x-tunnel-client-version", CLIENT_VERSION),
        ("x-tunnel-client-instance-id", instance_id),
        ("x-tunnel-client-wire-protocol-version", WIRE_PROTOCOL_VERSION),
    ];
    for (name, text) in own {
        map.insert(HeaderName::from_static(name), value(name, text, false)?);
    }
    let info = server_info(&config.bindings, control.poll_channels.as_deref())?;
    map.insert(SERVER_INFO, value("X-Tunnel-MCP-Server-Info", &info, false)?);
    let mut skipped = Vec::new();
    for (name, secret) in &control.extra_headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Header(name.clone()))?;
        if PROTECTED.contains(&parsed) {
            skipped.push(name.clone());
        } else {
            map.insert(parsed, value(name, secret.expose(), true)?);
        }
    }
    if let Some(organization) = &control.organization {
        map.insert(ORGANIZATION, value("OpenAI-Organization", organization, false)?);
    }
    Ok((map, skipped))
}

fn value(name: &str, text: &str, sensitive: bool) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text).map_err(|_| Error::Header(name.to_owned()))?;
    value.set_sensitive(sensitive);
    Ok(value)
}

/// The declaration of channels: compact JSON with fixed key order, version 2 only when a channel is stateless; what
/// is false is left out. Channels that are not polled for are not declared.
///
/// # Errors
/// When there are no channels, or more than may be declared.
pub fn server_info(bindings: &[Binding], polled: Option<&[Channel]>) -> Result<String, Error> {
    let is_polled = |b: &&Binding| polled.is_none_or(|channels| channels.contains(&b.channel));
    let declared: Vec<&Binding> = bindings.iter().filter(is_polled).collect();
    match declared.len() {
        0 => return Err(Error::NoChannels),
        1..=MAX_CHANNELS => {}
        n => return Err(Error::TooManyChannels(n)),
    }
    let version = if declared.iter().any(|b| b.stateless) { 2 } else { 1 };
    let mut out = format!("{{\"version\":{version},\"channels\":[");
    for (n, binding) in declared.iter().enumerate() {
        // Canonical channel names need no escaping.
        let comma = if n == 0 { "" } else { "," };
        let stateless = if binding.stateless { ",\"stateless\":true" } else { "" };
        let affinity = match binding.transport {
            Transport::Stdio { .. } => ",\"proc_affinity\":true",
            Transport::Http { .. } => "",
        };
        let _ = write!(out, "{comma}{{\"name\":\"{}\"{stateless}{affinity}}}", binding.channel);
    }
    out.push_str("]}");
    if out.len() > MAX_SERVER_INFO { Err(Error::ServerInfoTooLong(out.len())) } else { Ok(out) }
}

/// The headers of an MCP server that are posted, in the spelling in which they are posted.
const PASSED: [(&str, HeaderName); 6] = [
    ("Access-Control-Expose-Headers", header::ACCESS_CONTROL_EXPOSE_HEADERS),
    ("Content-Type", header::CONTENT_TYPE),
    ("Last-Event-Id", HeaderName::from_static("last-event-id")),
    ("Mcp-Protocol-Version", HeaderName::from_static("mcp-protocol-version")),
    ("Mcp-Session-Id", HeaderName::from_static("mcp-session-id")),
    ("Www-Authenticate", header::WWW_AUTHENTICATE),
];

/// The headers of an MCP server's answer that may pass, without empty values and without those that its `Connection`
/// header declares to be meant for the next hop only (RFC 9110 section 7.6.1).
#[must_use]
pub fn sanitise(upstream: &HeaderMap) -> Vec<(&'static str, Vec<Cow<'_, str>>)> {
    let nominated = |name: &HeaderName| {
        let lines = upstream.get_all(header::CONNECTION).iter();
        let tokens = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        tokens.map(str::trim).any(|token| token.eq_ignore_ascii_case(name.as_str()))
    };
    let mut passed = Vec::new();
    for (spelling, name) in &PASSED {
        let values: Vec<_> = upstream
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes().trim_ascii()))
            .filter(|value| !value.is_empty())
            .collect();
        if !values.is_empty() && !nominated(name) {
            passed.push((*spelling, values));
        }
    }
    passed
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
