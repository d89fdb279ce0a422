//! Sending a request over a pooled connection. Worker only; never follows a redirect.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::Error;
use super::clock::PeerClock;
use super::connect::Connector;
use super::refusal::Note;
use super::way::{Proxy, Way};

/// Idle HTTP/1.1 connections kept per peer; HTTP/2 needs one.
const MAX_IDLE_PER_HOST: usize = 32;
/// The head of an HTTP/1.1 response; also what is read from the socket at a time.
const HTTP1_BUFFER: usize = 64 << 10;
/// The head of an HTTP/2 response, uncompressed.
const HTTP2_HEAD: u32 = 64 << 10;
/// What a peer may send before it must wait for us: large enough for a big answer in one round trip, small enough
/// to be held for every peer.
const HTTP2_STREAM_WINDOW: u32 = 1 << 20;
const HTTP2_CONNECTION_WINDOW: u32 = 4 << 20;
/// While a request is outstanding, silence of this length is answered with a PING, and its answer awaited so long. A
/// pooled HTTP/2 connection to a peer that vanished would otherwise be used until TCP gives up, after many minutes.
const HTTP2_PING_AFTER: Duration = Duration::from_secs(20);
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a request that an HTTP/2 peer handed back untouched is offered again.
const HTTP2_OFFERS: u32 = 3;

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// Offer HTTP/2 in ALPN.
    pub http2: bool,
    /// A pooled connection that was idle for longer is not used again.
    pub idle: Duration,
    /// Bound on looking up the name and opening a TCP connection, all addresses together.
    pub connect_timeout: Duration,
    /// Bound on the TLS handshake.
    pub tls_timeout: Duration,
    /// The name that the peer's certificate must carry, when it is not the host of the URL.
    pub server_name: Option<ServerName<'static>>,
    /// A TCP connection whose peer acknowledges nothing for so long ends; `None` leaves it to idle ones, and two
    /// minutes.
    pub lost_after: Option<Duration>,
    /// What stands between us and the peer.
    pub way: Way,
}

type Pool = legacy::Client<Connector, Body>;

/// A pool of connections. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Arc<Mutex<Arc<Pool>>>,
    connector: Connector,
    idle: Duration,
    http2: bool,
    clock: PeerClock,
    note: Note,
    way: Way,
}

impl Client {
    /// A client whose connections trust what `tls` trusts.
    #[must_use]
    pub fn new(tls: Arc<rustls::ClientConfig>, options: Options) -> Self {
        let note = Note::default();
        let connector = Connector::new(&tls, &options, note.clone());
        let pool = Arc::new(Mutex::new(Arc::new(pool(connector.clone(), options.idle))));
        let (idle, http2, way) = (options.idle, options.http2, options.way);
        Self { pool, connector, idle, http2, clock: PeerClock::default(), note, way }
    }

    /// Uses no pooled connection again. To be called when a peer was lost without a word: the idle connections to it are
    /// as dead as the one that it was seen on, and would take as long to show it. What is under way goes on.
    pub fn forget_connections(&self) {
        let fresh = Arc::new(pool(self.connector.clone(), self.idle));
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// Opens a connection of its own to the host of a URL and closes it, without having said anything.
    ///
    /// # Errors
    /// Why that is not possible.
    pub async fn touch(&self, url: &http::Uri) -> Result<(), Error> {
        self.connector.clone().connect(url.clone()).await.map(drop)
    }

    /// Sends one request and resolves when the head of the response has arrived. There is no bound on the time of
    /// the exchange: the caller has the deadline. The URL must be absolute; `Host` and `Content-Length` are added
    /// from it and from the body.
    ///
    /// # Errors
    /// When no response came; see [`Error`].
    pub async fn send(&self, mut request: http::Request<Bytes>) -> Result<http::Response<Incoming>, Error> {
        if let Some(proxy) = self.way.forwards(request.uri()) {
            if let Some(authorization) = proxy.authorization() {
                request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
            }
            let response = self.send_once(request).await?;
            return Proxy::refusal(response.status()).map_or(Ok(response), Err);
        }
        if self.http2 && request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            // An HTTP/2 peer that is about to stop hands back what it no longer takes.
            for _ in 1..HTTP2_OFFERS {
                match self.send_once(request.clone()).await {
                    Err(error) if error.untouched => {}
                    done => return done,
                }
                // The connection's task learns that the connection is finished, so that it is not chosen again.
                tokio::task::yield_now().await;
            }
        }
        self.send_once(request).await
    }

    /// Connects as for a request to `uri`, with TLS where it says so, and closes the connection.
    ///
    /// # Errors
    /// When it cannot be connected to.
    pub async fn connect(&self, uri: &http::Uri) -> Result<(), Error> {
        self.connector.clone().connect(uri.clone()).await.map(drop)
    }

    /// How many seconds the peer's clock was ahead of ours in its last answer, if that had a date.
    #[must_use]
    pub fn seconds_ahead(&self) -> Option<i64> {
        self.clock.ahead()
    }

    async fn send_once(&self, request: http::Request<Bytes>) -> Result<http::Response<Incoming>, Error> {
        let taken = Arc::new(AtomicBool::new(false));
        let empty = request.body().is_empty();
        let request =
            request.map(|data| Body { data: (!data.is_empty()).then_some(data), taken: Arc::clone(&taken) });
        let start = Instant::now();
        let pool = Arc::clone(&self.pool.lock().unwrap_or_else(PoisonError::into_inner));
        match pool.request(request).await {
            Ok(response) => {
                self.clock.note(response.headers());
                Ok(response)
            }
            Err(error) => {
                let error = Error::from_client(&error, empty || taken.load(Ordering::Relaxed));
                if error.is_lost() {
                    self.forget_connections();
                }
                match self.note.since(start) {
                    Some(reason) if error.is_vague() => Err(error.due_to_tls(reason)),
                    _ if error.about_time => Err(self.clock.explain(error)),
                    _ => Err(error),
                }
            }
        }
    }
}

/// An empty pool.
fn pool(connector: Connector, idle: Duration) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(idle)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        // Only a request that comes back whole is tried again. hyper gives one back only while it waits in the
        // queue of its connection; once the connection's task has taken it from there, before the first byte is
        // written, it is in parts and cannot come back. So a pooled connection that the peer has just closed
        // costs a new one, and no request is ever written twice.
        .retry_canceled_requests(true)
        .http1_max_buf_size(HTTP1_BUFFER)
        .http2_max_header_list_size(HTTP2_HEAD)
        .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW)
        .http2_initial_connection_window_size(HTTP2_CONNECTION_WINDOW)
        .http2_keep_alive_interval(HTTP2_PING_AFTER)
        .http2_keep_alive_timeout(HTTP2_PING_TIMEOUT)
        .build(connector)
}

/// A request body: one chunk, of known length, that notes when the connection has taken it.
#[derive(Debug)]
struct Body {
    data: Option<Bytes>,
    taken: Arc<AtomicBool>,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take();
        if data.is_some() {
            self.taken.store(true, Ordering::Relaxed);
        }
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "http2_tests.rs"]
mod http2_tests;
