//! What can go wrong between a request and its response, told apart. Worker only; pure.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;

use hyper_util::client::legacy;

use super::ReadFailure;
use crate::tls;

/// Where an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// Reaching the proxy, or what the proxy says about the way to the peer.
    Proxy,
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
    /// The peer's certificate is in order, but its key is not one of the pinned ones.
    Pin,
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
    /// ECONNRESET, or an HTTP/2 stream that the peer reset.
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
    /// The resolved address is in none of the networks that the operator allows for this peer.
    NotAllowed,
    /// The proxy wants credentials, or others.
    ProxyAuth,
    /// The proxy does not connect us, for any other reason.
    ProxyRefused,
    /// Anything else.
    Other,
}

/// A request that got no response. Its text says why, and names neither URL, host nor credentials.
#[derive(Clone, Debug)]
pub struct Error {
    /// Where.
    pub phase: Phase,
    /// What.
    pub cause: Cause,
    /// Whether any of the request may have reached the peer and been acted upon.
    pub sent: bool,
    /// The connection or the peer handed the request back untouched: it may be sent again.
    pub(super) untouched: bool,
    /// Another time of day would change the outcome.
    pub(super) about_time: bool,
    detail: Cow<'static, str>,
}

impl Error {
    /// A failure before anything of the request was sent. `detail` must not name the peer.
    #[must_use]
    pub fn unsent(phase: Phase, cause: Cause, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { phase, cause, sent: false, untouched: false, about_time: false, detail: detail.into() }
    }

    /// A failure after the connection stood. `detail` must not name the peer.
    #[must_use]
    pub fn exchange(cause: Cause, sent: bool, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            phase: Phase::Exchange,
            cause,
            sent,
            untouched: false,
            about_time: false,
            detail: detail.into(),
        }
    }

    /// Whether a connection ended because nothing came from the peer any more.
    pub(super) fn is_lost(&self) -> bool {
        let silent =
            matches!(self.cause, Cause::Timeout | Cause::HostUnreachable | Cause::NetworkUnreachable);
        silent && self.phase == Phase::Exchange
    }

    /// The same failure, met on the way to a proxy instead of to the peer.
    pub(super) fn of_proxy(self) -> Self {
        let detail = format!("the proxy cannot be used: {}", self.detail);
        Self { phase: Phase::Proxy, detail: detail.into(), ..self }
    }

    /// An I/O error of `phase`, before anything of the request was sent.
    pub(super) fn io(phase: Phase, error: &io::Error) -> Self {
        if let Some(tls) = tls::find(error) {
            let cause = if tls::is_pin(tls) { Cause::Pin } else { Cause::Tls };
            return Self {
                about_time: tls::is_about_time(tls),
                ..Self::unsent(phase, cause, tls::reason(tls))
            };
        }
        let (cause, detail) = io_cause(error);
        match cause {
            // Connecting has a cause of its own for what is not told apart.
            Cause::Other if phase == Phase::Connect => Self::unsent(phase, Cause::Dial, detail),
            _ => Self::unsent(phase, cause, detail),
        }
    }

    /// Whether all that is known is that the connection ended.
    pub(super) fn is_vague(&self) -> bool {
        use Cause::{Aborted, ClosedPipe, ConnectionClosed, Eof, Other, Reset};
        let ended = matches!(self.cause, Aborted | ClosedPipe | ConnectionClosed | Eof | Other | Reset);
        self.phase == Phase::Exchange && ended
    }

    /// The same failure, of which the connection knows more.
    pub(super) fn due_to_tls(self, reason: String) -> Self {
        Self { cause: Cause::Tls, detail: Cow::Owned(reason), ..self }
    }

    /// Adds what else is known.
    pub(super) fn and(mut self, more: &str) -> Self {
        self.detail = Cow::Owned(format!("{}; {more}", self.detail));
        self
    }

    /// Reads the client's error. `handed_over`: the connection took the body, or there was none to take.
    pub(super) fn from_client(error: &legacy::Error, handed_over: bool) -> Self {
        if let Some(own) = chain(error).find_map(|e| e.downcast_ref::<Self>()) {
            return own.clone();
        }
        let (cause, detail) = diagnose(error).unwrap_or((Cause::Other, "the request failed"));
        let detail = match chain(error).find_map(tls::find) {
            Some(tls) => Cow::Owned(tls::reason(tls)),
            None => Cow::Borrowed(detail),
        };
        if error.is_connect() {
            // The pool gave up: another request was connecting, and failed.
            return Self::unsent(Phase::Connect, Cause::Dial, "the shared connection attempt failed");
        }
        let untouched = chain(error).any(is_untouched);
        // Without `connect_info` the connection never became ready for a request.
        let sent = handed_over && !untouched && error.connect_info().is_some();
        Self { untouched, ..Self::exchange(cause, sent, detail) }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl StdError for Error {}

/// Reads the error of a response body.
pub(super) fn of_body(error: &hyper::Error) -> ReadFailure {
    match diagnose(error) {
        Some((Cause::Eof | Cause::UnexpectedEof, _)) => ReadFailure::UnexpectedEof,
        Some((cause, _)) => ReadFailure::Unreadable(cause),
        // The connection failed for a reason that hyper keeps to itself.
        None => ReadFailure::Unreadable(Cause::ConnectionClosed),
    }
}

/// An error and its sources, outermost first. The bound is only there so that no cycle can hang the worker.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| {
        let link: &'a (dyn StdError + 'static) = *e;
        link.source()
    })
    .take(16)
}

/// Whether the error of a request says that nobody has begun to work on it.
fn is_untouched(error: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // How hyper hands back a request that it did not begin to write.
        return error.is_canceled();
    }
    // The peer's word that it did not process the stream: REFUSED_STREAM (RFC 9113 section 8.7), and GOAWAY with a
    // last stream before this one (section 6.8). h2 fails a request with the peer's GOAWAY only in that case, or when
    // it came before the stream was opened; the streams that the peer still serves go on.
    error.downcast_ref::<h2::Error>().is_some_and(|e| {
        e.is_remote() && (e.is_go_away() || (e.is_reset() && e.reason() == Some(h2::Reason::REFUSED_STREAM)))
    })
}

type Diagnosis = (Cause, &'static str);

/// The first link of the chain that says what happened; a connection that merely closed speaks last, because the
/// link below it may know why.
fn diagnose(error: &(dyn StdError + 'static)) -> Option<Diagnosis> {
    let mut closed = None;
    for link in chain(error) {
        if let Some(found) = link.downcast_ref::<hyper::Error>().and_then(of_hyper) {
            if found.0 != Cause::ConnectionClosed {
                return Some(found);
            }
            closed = Some(found);
        } else if let Some(error) = link.downcast_ref::<h2::Error>() {
            return Some(of_h2(error));
        } else if tls::find(link).is_some() {
            return Some((Cause::Tls, "the TLS connection failed"));
        } else if let Some(error) = link.downcast_ref::<io::Error>() {
            return Some(io_cause(error));
        }
    }
    closed
}

fn of_hyper(error: &hyper::Error) -> Option<Diagnosis> {
    if error.is_timeout() {
        Some((Cause::Timeout, "the peer stopped answering"))
    } else if error.is_parse() {
        Some((Cause::Protocol, "the peer does not speak HTTP as it should"))
    } else if error.is_incomplete_message() {
        Some((Cause::Eof, "the peer closed the connection without an answer"))
    } else if error.is_canceled() || error.is_closed() {
        Some((Cause::ConnectionClosed, "the connection was closed"))
    } else if !error.is_user() && error.source().is_none() {
        // Bytes before the request was on its way, such as the greeting of another protocol. hyper has no question for
        // this kind; it is the only one left that has no source.
        Some((Cause::Protocol, "the peer speaks out of turn"))
    } else {
        None
    }
}

fn of_h2(error: &h2::Error) -> Diagnosis {
    if let Some(io) = error.get_io() {
        // h2 makes up a broken pipe without an error number when the connection ends under a stream.
        return match (io.kind(), io.raw_os_error()) {
            (io::ErrorKind::BrokenPipe, None) => (Cause::Eof, "the peer closed the connection"),
            _ if tls::find(io).is_some() => (Cause::Tls, "the TLS connection failed"),
            _ => io_cause(io),
        };
    }
    match (error.is_remote(), error.is_go_away(), error.is_reset()) {
        (true, true, _) => (Cause::ConnectionClosed, "the peer is shutting the connection down"),
        (true, _, true) => (Cause::Reset, "the peer reset the stream"),
        _ => (Cause::Protocol, "the peer broke the HTTP/2 protocol"),
    }
}

fn io_cause(error: &io::Error) -> Diagnosis {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => (Cause::Refused, "connection refused"),
        ErrorKind::NetworkUnreachable => (Cause::NetworkUnreachable, "network unreachable"),
        ErrorKind::HostUnreachable => (Cause::HostUnreachable, "no route to the host"),
        ErrorKind::TimedOut => (Cause::Timeout, "timed out"),
        ErrorKind::ConnectionReset => (Cause::Reset, "connection reset by the peer"),
        ErrorKind::ConnectionAborted => (Cause::Aborted, "connection aborted"),
        ErrorKind::BrokenPipe => (Cause::ClosedPipe, "broken pipe"),
        ErrorKind::NotConnected => (Cause::ConnectionClosed, "the connection was closed"),
        ErrorKind::UnexpectedEof => (Cause::Eof, "the peer closed the connection"),
        ErrorKind::NotFound => (Cause::Other, "no such socket"),
        ErrorKind::PermissionDenied => (Cause::Other, "not permitted on this machine"),
        ErrorKind::AddrNotAvailable => (Cause::Other, "no local address or port available"),
        _ => (Cause::Other, "input or output failed"),
    }
}
