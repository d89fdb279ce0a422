//! Which headers of a command reach an MCP server. Pure; worker only.
//!
//! A deny list, because a connector's own headers (`Authorization`, `Mcp-*`, `X-*`) are what the call is about.
//! What goes: everything that frames the message or belongs to one hop (RFC 9110 section 7.6.1), what would pretend
//! to a network position (`Forwarded`, `X-Forwarded-*`, `Proxy-*`), what would choose another virtual host, and
//! cookies. Must never let a value through that could end its header line.

use std::collections::HashSet;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, HeaderMap, HeaderName, HeaderValue};

use super::jsonrpc;

/// Most header lines that a command may bring.
pub const MAX_LINES: usize = 128;
/// Most bytes of names and values that a command may bring.
pub const MAX_BYTES: usize = 64 << 10;

/// Why the headers of a command cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderProblem {
    /// Not a header name (RFC 9110 section 5.1).
    Name,
    /// The value of the named header contains a line end or another control character.
    Value(HeaderName),
    /// More than [`MAX_LINES`] lines.
    TooMany,
    /// More than [`MAX_BYTES`] bytes.
    TooLarge,
}

impl std::fmt::Display for HeaderProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => f.write_str("a header name is not valid"),
            Self::Value(name) => write!(f, "the value of header {name} is not valid"),
            Self::TooMany => write!(f, "more than {MAX_LINES} header lines"),
            Self::TooLarge => write!(f, "more than {MAX_BYTES} bytes of headers"),
        }
    }
}

impl std::error::Error for HeaderProblem {}

impl HeaderProblem {
    /// The code for the answer to such a command.
    pub const CODE: u16 = 400;

    /// The JSON-RPC answer to such a command; `id` is raw JSON text.
    #[must_use]
    pub fn body(&self, id: Option<&str>) -> Bytes {
        jsonrpc::error_body(id, -32600, &format!("Invalid Request: {self}"), None)
    }
}

/// The headers of a command that may be sent to its MCP server, in their order, repeated ones kept.
///
/// # Errors
/// When a name or value cannot be written into a request, also of a header that would have been dropped, or when
/// there is too much.
pub fn forwardable(raw: &[(String, Vec<String>)]) -> Result<HeaderMap, HeaderProblem> {
    let mut all = Vec::new();
    let mut bytes = 0usize;
    for (name, values) in raw {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderProblem::Name)?;
        for value in values {
            bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
            if bytes > MAX_BYTES {
                return Err(HeaderProblem::TooLarge);
            }
            if all.len() == MAX_LINES {
                return Err(HeaderProblem::TooMany);
            }
            let value = value.trim_matches([' ', '\t']);
            let mut value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| HeaderProblem::Value(parsed.clone()))?;
            value.set_sensitive(is_secret(&parsed));
            all.push((parsed.clone(), value));
        }
    }
    // A set: all commands of one poll can bring thousands of nominations each.
    let nominated: HashSet<String> = all
        .iter()
        .filter(|(name, _)| *name == CONNECTION)
        .flat_map(|(_, value)| nominations(value))
        .collect();
    let mut kept = HeaderMap::with_capacity(all.len());
    for (name, value) in all {
        if !never_forwarded(name.as_str()) && !nominated.contains(name.as_str()) {
            kept.append(name, value);
        }
    }
    Ok(kept)
}

/// The names that a `Connection` value makes hop-by-hop, in lower case.
fn nominations(value: &HeaderValue) -> Vec<String> {
    String::from_utf8_lossy(value.as_bytes())
        .split(',')
        .map(|name| name.trim_matches([' ', '\t']).to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Whether the agent alone decides about a header: it frames the message or the hop, or the body's encoding.
#[must_use]
pub fn is_framing(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
            | "accept-encoding"
            | "http2-settings"
            | "expect"
    ) || name.starts_with("proxy-")
}

/// Whether a value must not show in debug output, nor stay in a table of HTTP/2 header compression.
fn is_secret(name: &HeaderName) -> bool {
    name == AUTHORIZATION || name == "mcp-session-id"
}

/// `name` is in lower case. An underscore counts as a hyphen, because gateways that pass headers as variables make
/// `X_Forwarded_For` and `X-Forwarded-For` the same.
fn never_forwarded(name: &str) -> bool {
    let name = name.replace('_', "-");
    is_framing(&name)
        || matches!(name.as_str(), "host" | "cookie" | "forwarded")
        || name.starts_with("x-forwarded-")
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
