//! Rules for header names and values that an operator configures.
//!
//! Pure.

/// Names that identify the agent to the control plane and cannot be given as extra headers. Others that the agent
/// sets (the instance id, the wire protocol version) load, as old profiles may have them; they are never sent.
const RESERVED: [&str; 6] = [
    "authorization",
    "accept",
    "user-agent",
    "x-tunnel-client-name",
    "x-tunnel-client-version",
    "x-tunnel-mcp-server-info",
];

/// Names that belong to the connection or to the body of one message. Setting them by hand makes a peer read
/// another message than the one that was sent (RFC 9112 sections 6 and 7, RFC 9110 section 7.6.1).
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "content-encoding",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a control-plane request header that only the agent sets.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|r| name.eq_ignore_ascii_case(r))
}

/// The name of a header that describes the message itself.
pub fn is_framing(name: &str) -> bool {
    FRAMING.iter().any(|f| name.eq_ignore_ascii_case(f))
}

/// A token of RFC 9110 section 5.6.2.
pub fn is_name(name: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(tchar)
}

/// No control byte but TAB.
pub fn is_value(value: &str) -> bool {
    value.bytes().all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f))
}

/// Splits `Key: Value`, both trimmed.
pub fn split(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let name = name.trim();
    (!name.is_empty()).then_some((name, value.trim()))
}

#[cfg(test)]
#[path = "hdr_tests.rs"]
mod tests;
