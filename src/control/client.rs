//! The control-plane endpoints of one tunnel: where they are, and one request to each. Worker only.
//!
//! Every request carries the same headers, has a deadline, and follows no redirect. Nothing is tried again here.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use tokio::time::{Instant, timeout_at};

use super::api_error::{self, ApiError};
use super::failure::Failure;
use super::{COMPONENT, headers, wire};
use crate::config::route::Proxy;
use crate::config::types::{Channel, Worker};
use crate::log::Log;
use crate::net::{self, ReadFailure};

/// The most commands that one poll may ask for.
pub const MAX_LIMIT: usize = 25;
/// What a poll asks for when the configuration says nothing usable.
const DEFAULT_POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest deadline of any request.
const MAX_DEADLINE: Duration = Duration::from_secs(600);
/// The most bytes of a metadata record or an acknowledgement that are read.
const MAX_SMALL_BODY: usize = 64 * 1024;
/// A pooled connection that was idle for longer is not used again.
const IDLE: Duration = Duration::from_secs(90);
/// Bound on opening a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Bound on the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection without a sign of life for so long is lost. A poll on it would only be missed at its deadline, long after
/// the network is whole again.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// The longest wait for a body that only explains a status.
const PATIENCE: Duration = Duration::from_secs(2);
/// How the deadline shows in the reading of a body.
const LATE: ReadFailure = ReadFailure::Unreadable(net::Cause::Timeout);

/// Talks to the control plane about one tunnel. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    net: net::Client,
    headers: HeaderMap,
    /// Scheme, authority, prefix and tunnel, without a trailing slash.
    tunnel: String,
    poll_timeout: Duration,
    guardrail: Duration,
    max_poll_body: usize,
    log: Log,
}

/// What a successful poll brought.
#[derive(Debug)]
pub struct Polled {
    /// When the head of the response arrived; response timeouts count from here.
    pub received: Instant,
    /// The commands.
    pub batch: wire::Batch,
}

/// A configuration that no request can be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Headers cannot be built.
    Headers(headers::Error),
    /// Origin, prefix and tunnel id do not make a URL.
    Url,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers(e) => e.fmt(f),
            Self::Url => f.write_str("the control plane's address and the tunnel id do not make a URL"),
        }
    }
}

impl std::error::Error for Error {}

/// The record of a tunnel, as far as a client depends on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Metadata {
    /// The tunnel's id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its description.
    #[serde(default)]
    pub description: String,
}

impl Client {
    /// A client for the configured tunnel, over connections that go by `way` and trust what `tls` trusts. Says in the log where it leads (the origin only).
    ///
    /// # Errors
    /// When URL or headers cannot be built from the configuration.
    pub fn new(
        config: &Worker,
        instance_id: &str,
        tls: Arc<rustls::ClientConfig>,
        way: net::Way,
        log: Log,
    ) -> Result<Self, Error> {
        let control = &config.control;
        let (map, skipped) = headers::base(config, instance_id).map_err(Error::Headers)?;
        for name in &skipped {
            log.warn(
                COMPONENT,
                "control-plane extra header cannot override protected header",
                &[("header", name.into())],
            );
        }
        let uri = control.origin.uri();
        let (scheme, authority) = (uri.scheme_str().ok_or(Error::Url)?, uri.authority().ok_or(Error::Url)?);
        let prefix = control.path_prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        let tunnel = format!("{scheme}://{authority}{slash}{prefix}/v1/tunnels/{}", control.tunnel_id);
        tunnel.parse::<Uri>().map_err(|_| Error::Url)?;
        log.info(
            COMPONENT,
            "TunnelServiceClient created",
            &[("client_version", headers::CLIENT_VERSION.into())],
        );
        log.info(
            COMPONENT,
            "control-plane route resolved",
            &[
                ("origin", format!("{scheme}://{authority}").into()),
                ("proxy_source", (&control.route.source).into()),
                ("proxy", control.route.proxy().map(Proxy::shown).unwrap_or_default().into()),
            ],
        );
        let options = net::Options {
            http2: true,
            idle: IDLE,
            connect_timeout: CONNECT_TIMEOUT,
            tls_timeout: TLS_TIMEOUT,
            server_name: None,
            lost_after: Some(LOST_AFTER),
            way,
        };
        Ok(Self {
            net: net::Client::new(tls, options),
            headers: map,
            tunnel,
            poll_timeout: control.poll_timeout,
            guardrail: control.poll_guardrail,
            max_poll_body: config.limits.poll_body_bytes,
            log,
        })
    }

    /// The log that this client was given.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// How many seconds the control plane's clock was ahead of ours in its last answer.
    #[must_use]
    pub fn seconds_ahead(&self) -> Option<i64> {
        self.net.seconds_ahead()
    }

    /// The bound on every request that is not a poll: poll timeout plus guardrail, at most 10 minutes.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline_of(self.poll_timeout)
    }

    /// The bound on a poll that asks for `timeout`.
    #[must_use]
    pub fn deadline_of(&self, timeout: Duration) -> Duration {
        asked(timeout).saturating_add(self.guardrail).min(MAX_DEADLINE)
    }

    /// Waits for commands: at most `limit` (1 to 25), for at most `timeout` at the control plane, on `channels` or on
    /// all. Ends at the latest after `timeout` plus guardrail, body included. A body that is broken or too large
    /// still gives its complete commands; [`wire::Batch::cut`] says so.
    ///
    /// # Errors
    /// On any status but 200 and 204, without a response, and when the deadline passes.
    pub async fn poll(
        &self,
        limit: usize,
        timeout: Duration,
        channels: Option<&[Channel]>,
    ) -> Result<Polled, Failure> {
        let until = Instant::now() + self.deadline_of(timeout);
        let request = self.request(Method::GET, &poll_query(limit, timeout, channels), Bytes::new())?;
        let response = self.send(until, request).await?;
        let received = Instant::now();
        match response.status() {
            StatusCode::NO_CONTENT => Ok(Polled { received, batch: wire::Batch::default() }),
            StatusCode::OK => {
                let batch = match net::read_body_until(response, self.max_poll_body, Some(until)).await {
                    Ok((_, body)) => wire::parse(&body, true),
                    Err(e) => {
                        let mut batch = wire::parse(&e.partial, false);
                        if batch.items.is_empty() && e.why == LATE {
                            return Err(Failure::Timeout);
                        }
                        batch.cut = Some(unread(e.why));
                        batch
                    }
                };
                Ok(Polled { received, batch })
            }
            _ => Err(refused(until, response).await),
        }
    }

    /// Fetches the tunnel's record.
    ///
    /// # Errors
    /// On any status but 2xx, without a response, when the deadline passes, and when the body is not such a record.
    pub async fn metadata(&self) -> Result<Metadata, Failure> {
        let until = Instant::now() + self.deadline();
        let request = self.request(Method::GET, "", Bytes::new())?;
        let response = self.send(until, request).await?;
        if !response.status().is_success() {
            return Err(refused(until, response).await);
        }
        let read = net::read_body_until(response, MAX_SMALL_BODY, Some(until)).await;
        let (_, body) = read.map_err(|e| Failure::Body(unread(e.why)))?;
        serde_json::from_slice(&body).map_err(|_| Failure::Body("body is not a tunnel record"))
    }

    /// Posts a result once; `within` bounds the exchange in addition to the deadline of every request. Any 2xx status
    /// is success.
    ///
    /// # Errors
    /// On any other status, without a response, and when the deadline passes.
    pub async fn post(
        &self,
        body: Bytes,
        shard_token: &HeaderValue,
        client_request_id: Option<&HeaderValue>,
        bound: Duration,
    ) -> Result<(), Failure> {
        let until = Instant::now() + self.deadline().min(bound);
        let mut request = self.request(Method::POST, "/response", body)?;
        let map = request.headers_mut();
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        map.insert(headers::SHARD_TOKEN, shard_token.clone());
        if let Some(id) = client_request_id {
            map.insert(headers::CLIENT_REQUEST_ID, id.clone());
        }
        let response = self.send(until, request).await?;
        if !response.status().is_success() {
            return Err(refused(until, response).await);
        }
        // The status says all. The body is read so that the connection can be used again, not to be understood.
        let _ =
            net::read_body_until(response, MAX_SMALL_BODY, Some(until.min(Instant::now() + PATIENCE))).await;
        Ok(())
    }

    /// The head of the response. When there is none in time, the other connections are not trusted either.
    async fn send(
        &self,
        until: Instant,
        request: Request<Bytes>,
    ) -> Result<http::Response<hyper::body::Incoming>, Failure> {
        let Ok(sent) = within(until, self.net.send(request)).await else {
            self.net.forget_connections();
            return Err(Failure::Timeout);
        };
        sent.map_err(Failure::Transport)
    }

    fn request(&self, method: Method, rest: &str, body: Bytes) -> Result<Request<Bytes>, Failure> {
        let uri: Uri = format!("{}{rest}", self.tunnel).parse().map_err(|_| Failure::Request)?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

/// What a poll asks for: zero stands for the default, and what is less than a millisecond for one.
fn asked(timeout: Duration) -> Duration {
    match timeout {
        Duration::ZERO => DEFAULT_POLL_TIMEOUT,
        other => other.max(Duration::from_millis(1)),
    }
}

/// Path and query of a poll, keys in alphabetical order.
fn poll_query(limit: usize, timeout: Duration, channels: Option<&[Channel]>) -> String {
    let mut names: Vec<&str> = channels.unwrap_or_default().iter().map(Channel::as_str).collect();
    names.sort_unstable();
    let channels: String = names.iter().map(|name| format!("channel={name}&")).collect();
    let millis = asked(timeout).as_micros().div_ceil(1000);
    format!("/poll?{channels}limit={}&timeout_ms={millis}", limit.clamp(1, MAX_LIMIT))
}

async fn within<T>(until: Instant, future: impl Future<Output = T>) -> Result<T, Failure> {
    timeout_at(until, future).await.map_err(|_| Failure::Timeout)
}

/// Reads what an unexpected response says, as far as it says it in time and within bounds; the rest is not read.
async fn refused(until: Instant, response: http::Response<hyper::body::Incoming>) -> Failure {
    let (status, head) = (response.status(), response.headers().clone());
    let until = until.min(Instant::now() + PATIENCE);
    let body = match net::read_body_until(response, api_error::MAX_BODY, Some(until)).await {
        Ok((_, body)) => body,
        Err(e) => e.partial,
    };
    Failure::Status(Box::new(ApiError::read(status, &head, &body, SystemTime::now())))
}

const fn unread(why: ReadFailure) -> &'static str {
    match why {
        ReadFailure::TooLarge => "body is too large",
        ReadFailure::UnexpectedEof => "body ended early",
        LATE => "body did not arrive in time",
        ReadFailure::Unreadable(_) => "connection failed within the body",
        ReadFailure::BadEncoding => "body has an unusable content encoding",
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
