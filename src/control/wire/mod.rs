//! What a poll brings: a body of bytes becomes commands, malformed commands that can be answered, and the rest. Pure.
//!
//! One broken element costs only itself; a body that is cut off loses only what is missing. Payloads stay the bytes
//! they came in.

mod command;
mod fields;
mod headers;
pub mod scan;
mod timeout;

use std::time::Duration;

use bytes::Bytes;

pub use super::body::RespType;
pub use headers::{MAX_HEADER_BYTES, MAX_HEADER_VALUES};
pub use timeout::parse as parse_timeout;

/// The content of a poll body.
#[derive(Debug, Default)]
pub struct Batch {
    /// The elements of `commands`, in order.
    pub items: Vec<Item>,
    /// Why the body was not used whole: it ended early, or it is not what was expected. The items are good
    /// nevertheless.
    pub cut: Option<&'static str>,
}

/// One element of `commands`.
#[derive(Debug)]
pub enum Item {
    /// To be executed.
    Command(Command),
    /// To be answered with an error.
    Malformed(Malformed),
    /// It cannot be answered, because its `request_id` or `shard_token` cannot be used; the text says why.
    Dropped(&'static str),
}

/// A command that cannot be executed but can be answered: with code 400 and, unless it is a session termination, the
/// JSON-RPC error described here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// As read.
    pub request_id: String,
    /// As read; a legal header value.
    pub shard_token: String,
    /// The canonical channel to post as; `main` when the command's own is not a channel name.
    pub channel: String,
    /// The type that would have answered it. A session termination is answered as one, without a body; everything else
    /// by a JSON-RPC response.
    pub resp_type: RespType,
    /// The JSON-RPC id as raw JSON text, when it is a string or a number.
    pub rpc_id: Option<String>,
    /// JSON-RPC error code: -32700, -32600 or -32601.
    pub code: i32,
    /// JSON-RPC error message.
    pub message: &'static str,
    /// Relative to the receipt of the poll; as for a command.
    pub timeout: Option<Duration>,
}

/// A command whose envelope is valid. Its JSON-RPC payload has not been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Opaque, 1 to [`crate::ipc::msg::MAX_REQUEST_ID`] bytes.
    pub request_id: String,
    /// Opaque, a legal header value of 1 to [`crate::ipc::msg::MAX_SHARD_TOKEN`] bytes.
    pub shard_token: String,
    /// The canonical channel name.
    pub channel: String,
    /// What is to be done.
    pub kind: Kind,
    /// The headers of the connector's request in their order; names and values are not checked.
    pub headers: Vec<(String, Vec<String>)>,
    /// The response timeout, relative to the receipt of the poll. Zero has passed already.
    pub timeout: Option<Duration>,
    /// When the control plane made it, in milliseconds since 1970, if it says so. For the figures only.
    pub created_ms: Option<u64>,
    /// Bytes of memory that holding the command may cost, for the bound on all payloads in flight.
    pub size: usize,
}

impl Command {
    /// The connector's `X-Request-Id`, which is posted back as `X-Client-Request-Id`.
    #[must_use]
    pub fn client_request_id(&self) -> Option<&str> {
        let named = |(name, _): &&(String, Vec<String>)| name.eq_ignore_ascii_case("x-request-id");
        let values = self.headers.iter().filter(named).flat_map(|(_, values)| values);
        values.map(|v| v.trim()).find(|v| !v.is_empty())
    }
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Forward this JSON object, the raw text of the member `jsonrpc`.
    Jsonrpc(Bytes),
    /// Fetch OAuth metadata.
    OauthDiscovery,
    /// End the MCP session that the headers name.
    SessionTermination,
}

/// Reads a poll body. `complete` says that the transport delivered it whole.
#[must_use]
pub fn parse(body: &Bytes, complete: bool) -> Batch {
    let scan = scan::scan(body);
    let items = scan.elements.iter().map(|element| command::parse(body, element)).collect();
    let cut = scan.broken.or(if complete { None } else { Some("body was cut off") });
    Batch { items, cut }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
