//! The one HTTP client: connects, speaks TLS, sends one request, hands back the response. Worker only.
//!
//! Never follows a redirect and never repeats a request that may have reached the peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;

/// Where an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request or waiting for the head of the response.
    Exchange,
}

/// What went wrong, as far as it can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The name does not resolve.
    Dns,
    /// Certificate or record trouble.
    Tls,
    /// A bound on time was reached.
    Timeout,
    /// ECONNREFUSED.
    Refused,
    /// ENETUNREACH.
    NetworkUnreachable,
    /// EHOSTUNREACH.
    HostUnreachable,
    /// Any other failure to connect.
    Dial,
    /// ECONNRESET.
    Reset,
    /// ECONNABORTED.
    Aborted,
    /// EPIPE.
    ClosedPipe,
    /// The peer closed before the first byte of an answer.
    Eof,
    /// The peer closed inside an answer.
    UnexpectedEof,
    /// The connection was closed on our side or by HTTP/2 GOAWAY.
    ConnectionClosed,
    /// Not HTTP, or broken HTTP.
    Protocol,
    /// The resolved address is one that is refused.
    Blocked,
    /// Anything else.
    Other,
}

/// A request that got no response. Its text names neither URL nor credentials.
#[derive(Debug)]
pub struct Error {
    /// Where.
    pub phase: Phase,
    /// What.
    pub cause: Cause,
    /// Whether any of the request may have reached the peer.
    pub sent: bool,
    detail: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {}

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// Offer HTTP/2 in ALPN.
    pub http2: bool,
    /// A pooled connection that was idle for longer is not used again.
    pub idle: Duration,
    /// Bound on opening a TCP connection, all addresses together.
    pub connect_timeout: Duration,
    /// Bound on the TLS handshake.
    pub tls_timeout: Duration,
}

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {}

impl Client {
    /// A client whose connections trust what `tls` trusts.
    #[must_use]
    pub fn new(_tls: Arc<rustls::ClientConfig>, _options: Options) -> Self {
        Self {}
    }

    /// Sends one request and resolves when the head of the response has arrived. There is no bound on the time of
    /// the exchange: the caller has the deadline.
    ///
    /// # Errors
    /// When no response came; see [`Error`].
    pub async fn send(&self, _request: http::Request<Bytes>) -> Result<http::Response<Incoming>, Error> {
        Err(Error { phase: Phase::Connect, cause: Cause::Other, sent: false, detail: "placeholder".into() })
    }
}

/// Why a body could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// Larger than the bound, after inflation.
    TooLarge,
    /// It ended before its announced length, or before the end of its compression.
    UnexpectedEof,
    /// The connection failed.
    Unreadable(Cause),
    /// An encoding that was not asked for, or broken compression.
    BadEncoding,
}

/// A body that could not be read whole, with what there was of it.
#[derive(Debug)]
pub struct ReadError {
    /// Status and headers.
    pub parts: http::response::Parts,
    /// What was read (and inflated) before the failure; at most the bound.
    pub partial: Bytes,
    /// Why it stopped.
    pub why: ReadFailure,
}

/// Reads a response body of at most `max` bytes; `gzip` and `x-gzip` content encodings are inflated, within the
/// same bound.
///
/// # Errors
/// When it could not be read whole.
pub async fn read_body(
    response: http::Response<Incoming>,
    _max: usize,
) -> Result<(http::response::Parts, Bytes), ReadError> {
    let (parts, _) = response.into_parts();
    Err(ReadError { parts, partial: Bytes::new(), why: ReadFailure::BadEncoding })
}
