//! The body of a response POST. Pure.
//!
//! The payload is raw JSON text; it is copied once, into the buffer that is sent, and never changed.

use bytes::Bytes;
use http::HeaderMap;

use super::headers::sanitise;
use crate::config::types::Channel;

/// What a posted body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RespType {
    /// A JSON-RPC response; the last word on its command.
    Jsonrpc,
    /// A notification of the MCP server in the middle of a request.
    Notify,
    /// A notification of the connector was delivered; no payload.
    NotifyAck,
    /// How a session termination ended; no payload.
    SessionTermination,
    /// The OAuth metadata that was asked for, or why there is none.
    OauthDiscovery,
}

impl RespType {
    /// The value of `resp_type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jsonrpc => "jsonrpc_response",
            Self::Notify => "jsonrpc_notify",
            Self::NotifyAck => "notify_ack",
            Self::SessionTermination => "session_termination_response",
            Self::OauthDiscovery => "oauth_discovery_response",
        }
    }

    /// Whether it comes with a payload; there is no type for which that is a choice.
    #[must_use]
    pub const fn has_payload(self) -> bool {
        !matches!(self, Self::NotifyAck | Self::SessionTermination)
    }
}

/// A result on its way to the control plane.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// Of the command.
    pub request_id: &'a str,
    /// Of the command; goes into a header.
    pub shard_token: &'a str,
    /// Of the command, canonical.
    pub channel: &'a str,
    /// What this is.
    pub resp_type: RespType,
    /// HTTP-style status of the MCP server's answer.
    pub code: u16,
    /// The MCP server's headers; only those that may pass are sent.
    pub headers: &'a HeaderMap,
    /// One JSON object, sent as it is.
    pub body: Option<&'a [u8]>,
    /// The `X-Request-Id` of the command's headers.
    pub client_request_id: Option<&'a str>,
    /// What is posted with code 502 in place of `body`, should the control plane find that too large: one JSON object.
    pub too_large: Option<Bytes>,
}

/// A response that must not be posted, because the control plane could not make sense of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// An acknowledgement with a payload.
    Payload,
    /// Another type without one.
    NoPayload,
    /// The channel is not a channel name.
    Channel,
    /// The shard token is empty or not a legal header value.
    ShardToken,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Payload => "an acknowledgement has a payload",
            Self::NoPayload => "the payload is missing",
            Self::Channel => "the channel is not a channel name",
            Self::ShardToken => "the shard token is not a legal header value",
        })
    }
}

impl std::error::Error for Invalid {}

/// Writes the body: `request_id`, `channel`, `resp_json`, `resp_headers`, `resp_code`, `resp_type`, in this order;
/// `resp_json` and `resp_headers` are left out when empty.
///
/// # Errors
/// When type and payload do not fit each other, or the channel is not one.
pub fn write(response: &Response<'_>) -> Result<Bytes, Invalid> {
    let payload = response.body.filter(|body| !body.is_empty());
    match (response.resp_type.has_payload(), payload) {
        (true, None) => return Err(Invalid::NoPayload),
        (false, Some(_)) => return Err(Invalid::Payload),
        _ => {}
    }
    let channel = Channel::normalise(response.channel).ok_or(Invalid::Channel)?;
    let headers = sanitise(response.headers);
    let of_headers: usize = headers
        .iter()
        .map(|(name, values)| name.len() + values.iter().map(|v| v.len() + 8).sum::<usize>() + 8)
        .sum();
    let len = payload.map_or(0, <[u8]>::len);
    let mut out =
        Vec::with_capacity(len + of_headers + response.request_id.len() + channel.as_str().len() + 160);
    out.extend_from_slice(b"{\"request_id\":");
    quote(&mut out, response.request_id);
    out.extend_from_slice(b",\"channel\":");
    quote(&mut out, channel.as_str());
    if let Some(payload) = payload {
        out.extend_from_slice(b",\"resp_json\":");
        out.extend_from_slice(payload);
    }
    for (n, (name, values)) in headers.iter().enumerate() {
        out.extend_from_slice(if n == 0 { b",\"resp_headers\":{" } else { b"," });
        quote(&mut out, name);
        for (n, value) in values.iter().enumerate() {
            out.extend_from_slice(if n == 0 { b":[" } else { b"," });
            quote(&mut out, value);
        }
        out.push(b']');
    }
    if !headers.is_empty() {
        out.push(b'}');
    }
    out.extend_from_slice(format!(",\"resp_code\":{},\"resp_type\":", response.code).as_bytes());
    quote(&mut out, response.resp_type.name());
    out.push(b'}');
    Ok(out.into())
}

/// Appends a JSON string.
fn quote(out: &mut Vec<u8>, text: &str) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
