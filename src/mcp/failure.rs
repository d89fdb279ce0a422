//! What the agent says when an MCP server gave no answer that could be passed on: one JSON-RPC error of code
//! -32603 whose `data.tunnel_failure` tells the control plane where it went wrong. Pure; worker only.
//!
//! Must never carry a URL, an error text or anything of the upstream's body: it is read by the connector.

use bytes::Bytes;
use http::StatusCode;

use super::jsonrpc;
use crate::log::Value;
use crate::net;

/// The party that failed (`source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server answered with a status of 400 to 599.
    TargetHttp,
    /// The name did not resolve.
    Dns,
    /// The TLS handshake or a TLS record.
    Tls,
    /// No connection.
    Connect,
    /// The connection, or the pipes of a child, ended before the answer.
    TransportClosed,
    /// A bound on time.
    Timeout,
    /// The server answered with something that is not MCP.
    Protocol,
    /// The agent itself.
    ClientInternal,
}

impl Source {
    /// As the published schema spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TargetHttp => "target_http",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Connect => "connect",
            Self::TransportClosed => "transport_closed",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::ClientInternal => "client_internal",
        }
    }
}

/// How it failed (`transport_error_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EPIPE, or the pipe of a child.
    ClosedPipe,
    /// ECONNABORTED.
    ConnectionAborted,
    /// Closed on our side or by HTTP/2 GOAWAY.
    ConnectionClosed,
    /// ECONNREFUSED.
    ConnectionRefused,
    /// ECONNRESET.
    ConnectionReset,
    /// Any other failure to connect.
    Dial,
    /// The name did not resolve.
    Dns,
    /// The end came before the answer.
    Eof,
    /// EHOSTUNREACH.
    HostUnreachable,
    /// An error status, and nothing is known of the body.
    HttpStatus,
    /// An error body that is JSON, but not the JSON-RPC error of this request.
    InvalidMcpError,
    /// JSON-RPC, but not the response to this request.
    InvalidProtocolResponse,
    /// Not JSON, or not a single message.
    MalformedJson,
    /// ENETUNREACH.
    NetworkUnreachable,
    /// A status or media type that cannot carry the answer.
    NonProtocolResponse,
    /// An error status without a body.
    ResponseBodyMissing,
    /// Beyond the bound.
    ResponseBodyTooLarge,
    /// The body could not be read or decoded.
    ResponseBodyUnreadable,
    /// A bound on time.
    Timeout,
    /// The TLS handshake or a TLS record.
    Tls,
    /// The end came inside the answer.
    UnexpectedEof,
    /// None of these.
    Unknown,
}

impl Kind {
    /// As the published schema spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClosedPipe => "closed_pipe",
            Self::ConnectionAborted => "connection_aborted",
            Self::ConnectionClosed => "connection_closed",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionReset => "connection_reset",
            Self::Dial => "dial",
            Self::Dns => "dns",
            Self::Eof => "eof",
            Self::HostUnreachable => "host_unreachable",
            Self::HttpStatus => "http_status",
            Self::InvalidMcpError => "invalid_mcp_error",
            Self::InvalidProtocolResponse => "invalid_protocol_response",
            Self::MalformedJson => "malformed_json",
            Self::NetworkUnreachable => "network_unreachable",
            Self::NonProtocolResponse => "non_protocol_response",
            Self::ResponseBodyMissing => "response_body_missing",
            Self::ResponseBodyTooLarge => "response_body_too_large",
            Self::ResponseBodyUnreadable => "response_body_unreadable",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::UnexpectedEof => "unexpected_eof",
            Self::Unknown => "unknown",
        }
    }
}

/// One synthesised failure. The constructors keep to the published schema: an upstream status goes with
/// `target_http` only, and `transport_closed` never claims that a response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who.
    pub source: Source,
    /// How; `None` is left out.
    pub kind: Option<Kind>,
    /// Whether a response came from the server before the failure.
    pub received: bool,
    /// The server's status, when it is to be passed on; else the code is 502.
    pub status: Option<u16>,
}

impl Failure {
    /// The server answered with a status other than 2xx.
    #[must_use]
    pub fn of_status(status: u16, kind: Kind) -> Self {
        let source = if (400..=599).contains(&status) { Source::TargetHttp } else { Source::Protocol };
        Self { source, kind: Some(kind), received: true, status: Some(status) }
    }

    /// The server answered, and the answer is of no use.
    #[must_use]
    pub const fn protocol(kind: Kind) -> Self {
        Self { source: Source::Protocol, kind: Some(kind), received: true, status: None }
    }

    /// The way to the server ended before the answer.
    #[must_use]
    pub const fn closed(kind: Kind) -> Self {
        Self::unanswered(Source::TransportClosed, kind)
    }

    /// A bound on time was reached; `received` says whether the head of a response had come.
    #[must_use]
    pub const fn timeout(received: bool) -> Self {
        Self { source: Source::Timeout, kind: Some(Kind::Timeout), received, status: None }
    }

    const fn unanswered(source: Source, kind: Kind) -> Self {
        Self { source, kind: Some(kind), received: false, status: None }
    }

    /// No response came.
    #[must_use]
    pub fn from_net(error: &net::Error) -> Self {
        Self::of_exchange(error.phase, error.cause)
    }

    fn of_exchange(phase: net::Phase, cause: net::Cause) -> Self {
        use net::{Cause, Phase};
        // A proxy that hangs up or speaks nonsense was no connection to the server yet.
        if phase == Phase::Proxy && (closed_kind(cause).is_some() || cause == Cause::Protocol) {
            return Self::unanswered(Source::Connect, Kind::Dial);
        }
        if let Some(closed) = closed_kind(cause) {
            return Self::closed(closed);
        }
        let (source, kind) = match (cause, phase) {
            (Cause::Dns, _) => (Source::Dns, Kind::Dns),
            (Cause::Tls | Cause::Pin, _) => (Source::Tls, Kind::Tls),
            (Cause::Timeout, _) => (Source::Timeout, Kind::Timeout),
            (Cause::Refused, _) => (Source::Connect, Kind::ConnectionRefused),
            (Cause::NetworkUnreachable, _) => (Source::Connect, Kind::NetworkUnreachable),
            (Cause::HostUnreachable, _) => (Source::Connect, Kind::HostUnreachable),
            (
                Cause::Dial | Cause::Blocked | Cause::NotAllowed | Cause::ProxyAuth | Cause::ProxyRefused,
                _,
            ) => (Source::Connect, Kind::Dial),
            // Something came, but it was no HTTP response.
            (Cause::Protocol, _) => (Source::Protocol, Kind::NonProtocolResponse),
            (_, Phase::Dns) => (Source::Dns, Kind::Dns),
            (_, Phase::Connect | Phase::Proxy) => (Source::Connect, Kind::Dial),
            (_, Phase::Tls) => (Source::Tls, Kind::Tls),
            (_, Phase::Exchange) => (Source::ClientInternal, Kind::Unknown),
        };
        Self::unanswered(source, kind)
    }

    /// The body of a successful response could not be read.
    #[must_use]
    pub fn from_read(why: net::ReadFailure) -> Self {
        use net::{Cause, ReadFailure};
        match why {
            ReadFailure::TooLarge => Self::protocol(Kind::ResponseBodyTooLarge),
            ReadFailure::UnexpectedEof => Self::closed(Kind::UnexpectedEof),
            ReadFailure::BadEncoding => Self::protocol(Kind::ResponseBodyUnreadable),
            ReadFailure::Unreadable(cause) => match (closed_kind(cause), cause) {
                (Some(closed), _) => Self::closed(closed),
                (None, Cause::Tls) => Self { received: true, ..Self::unanswered(Source::Tls, Kind::Tls) },
                (None, Cause::Timeout) => Self::timeout(true),
                (None, _) => Self::protocol(Kind::ResponseBodyUnreadable),
            },
        }
    }

    /// The code to post: the server's status where there is one to pass on, else 502.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status.unwrap_or(502)
    }

    /// The JSON-RPC error; `id` is the raw text of the request's id, `None` for a notification's.
    #[must_use]
    pub fn body(&self, id: Option<&str>) -> Bytes {
        let reason = StatusCode::from_u16(self.code()).ok().and_then(|code| code.canonical_reason());
        let mut data = format!("{{\"tunnel_failure\":{{\"version\":1,\"source\":\"{}\"", self.source.name());
        if let Some(kind) = self.kind {
            data.push_str(&format!(",\"transport_error_kind\":\"{}\"", kind.name()));
        }
        data.push_str(&format!(",\"upstream_response_received\":{}", self.received));
        if let Some(status) = self.upstream_status() {
            data.push_str(&format!(",\"upstream_status\":{status}"));
        }
        data.push_str("}}");
        jsonrpc::error_body(id, -32603, reason.unwrap_or("MCP transport error"), Some(&data))
    }

    /// The fields of a log line about this failure.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Value<'static>)> {
        let mut fields = vec![
            ("failure_source", self.source.name().into()),
            ("upstream_response_received", self.received.into()),
            ("status_code", self.code().into()),
            ("tunnel_client_version", env!("CARGO_PKG_VERSION").into()),
        ];
        if let Some(kind) = self.kind {
            fields.push(("transport_error_kind", kind.name().into()));
        }
        if let Some(status) = self.upstream_status() {
            fields.push(("upstream_status", status.into()));
        }
        fields
    }

    fn upstream_status(&self) -> Option<u16> {
        self.status.filter(|_| self.source == Source::TargetHttp)
    }
}

/// The causes that mean that an open connection ended.
const fn closed_kind(cause: net::Cause) -> Option<Kind> {
    use net::Cause;
    match cause {
        Cause::Reset => Some(Kind::ConnectionReset),
        Cause::Aborted => Some(Kind::ConnectionAborted),
        Cause::ClosedPipe => Some(Kind::ClosedPipe),
        Cause::Eof => Some(Kind::Eof),
        Cause::UnexpectedEof => Some(Kind::UnexpectedEof),
        Cause::ConnectionClosed => Some(Kind::ConnectionClosed),
        _ => None,
    }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
