//! An MCP server over Streamable HTTP: one POST for a command, its answer as JSON or as an event stream. Worker only.
//!
//! A transparent relay: payload bytes pass unchanged in both directions, no `initialize` is made up, no session is
//! remembered, no redirect is followed, and nothing is ever deleted but by [`Http::terminate`]. Every wait is bounded
//! by the command's deadline and by `connection_max_ttl`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, Uri};
use hyper::body::{Body as _, Incoming};
use rustls::pki_types::ServerName;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout_at};

use super::failure::{Failure, Kind};
use super::{Answer, Call, End, Note};
use crate::config::types::{HttpUrl, Limits, Mcp};
use crate::log::Log;
use crate::net::{self, BodyReader};

mod answer;
mod look;
mod reply;
mod request;
mod rest;
mod resume;
mod stream;

/// Component of the log lines of this side.
const COMPONENT: &str = "mcpclient";
/// Connections idle for longer are not used again: servers close theirs after 5 s, and a POST that meets the close
/// cannot be repeated.
const IDLE: Duration = Duration::from_secs(3);
/// Bound on opening a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound on the TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bound on a DELETE whose command has no deadline.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(30);
/// Stands for an age limit that is too long to be added to a time.
const UNBOUNDED: Duration = Duration::from_secs(365 * 86_400);
/// Most bytes of an error body that are looked at.
const ERROR_BODY_BYTES: usize = 102_400;
/// Replies to requests of the server that may be under way at a time.
const MAX_REPLIES: usize = 16;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// One configured server.
#[derive(Debug)]
pub struct Http {
    url: Uri,
    /// `mcp.extra_headers`.
    fixed: HeaderMap,
    /// Boxed because it is large, and an upstream is moved about.
    client: Box<net::Client>,
    /// Bound on an answer or an event, in bytes.
    answer_bytes: usize,
    ttl: Duration,
    replies: Arc<Semaphore>,
    leftovers: rest::Leftovers,
    /// Requests that the server sent in mid-call.
    server_requests: AtomicU64,
    log: Log,
}

/// When to stop, and what that means.
struct Bound {
    at: Instant,
    /// The command's own deadline, after which nobody wants an answer.
    is_deadline: bool,
}

impl Bound {
    fn new(deadline: Option<Instant>, own: Duration) -> Self {
        let now = Instant::now();
        let own = now.checked_add(own).unwrap_or(now + UNBOUNDED);
        match deadline {
            Some(at) if at <= own => Self { at, is_deadline: true },
            _ => Self { at: own, is_deadline: false },
        }
    }

    fn has_passed(&self) -> bool {
        self.at <= Instant::now()
    }
}

/// What a response carries, by its media type; parameters and case do not matter (RFC 9110 section 8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Media {
    Json,
    Stream,
    Other,
}

fn media(headers: &HeaderMap) -> Media {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Media::Json
    } else if essence.eq_ignore_ascii_case("text/event-stream") {
        Media::Stream
    } else {
        Media::Other
    }
}

impl Http {
    /// A server at exactly `url`, reached by `way`, with a connection pool of its own. Its certificate must carry
    /// `server_name`, or the host of the URL when there is none.
    #[must_use]
    pub fn new(
        url: &HttpUrl,
        server_name: Option<&str>,
        mcp: &Mcp,
        limits: &Limits,
        tls: Arc<rustls::ClientConfig>,
        way: net::Way,
        log: Log,
    ) -> Self {
        let options = net::Options {
            http2: true,
            idle: IDLE,
            connect_timeout: CONNECT_TIMEOUT,
            tls_timeout: TLS_TIMEOUT,
            // The configuration has been checked: it is a name.
            server_name: server_name.and_then(|name| ServerName::try_from(name.to_string()).ok()),
            // A call may be worth waiting for; it cannot be repeated.
            lost_after: None,
            way,
        };
        Self {
            url: url.uri().clone(),
            fixed: request::fixed_headers(mcp, &log),
            client: Box::new(net::Client::new(tls, options)),
            answer_bytes: limits.answer_bytes,
            ttl: mcp.connection_max_ttl,
            replies: Arc::new(Semaphore::new(MAX_REPLIES)),
            leftovers: rest::Leftovers::new(),
            server_requests: AtomicU64::new(0),
            log,
        }
    }

    /// Connects as for a request, with TLS where the URL says so, and closes the connection.
    ///
    /// # Errors
    /// Why that is not possible.
    pub async fn touch(&self) -> Result<(), net::Error> {
        self.client.touch(&self.url).await
    }

    /// Forwards a request; see [`super::Upstream::request`].
    pub async fn request(&self, call: Call, notes: &mpsc::Sender<Note>) -> End {
        let bound = Bound::new(call.deadline, self.ttl);
        let mut head = None;
        if bound.is_deadline && bound.has_passed() {
            return End::DeadlinePassed;
        }
        match timeout_at(bound.at, self.exchange(&call, notes, &mut head)).await {
            Ok(answer) => End::Answer(answer),
            Err(_) if bound.is_deadline => End::DeadlinePassed,
            Err(_) => {
                let failure = Failure::timeout(head.is_some());
                End::Answer(failed(head.unwrap_or_default(), failure, call.message.id()))
            }
        }
    }

    /// Forwards a notification; see [`super::Upstream::notification`]. A server that cannot be connected to is
    /// acknowledged with 502; one that refuses it gets the connector an error without an id.
    pub async fn notification(&self, call: Call) -> End {
        let bound = Bound::new(call.deadline, self.ttl);
        if bound.is_deadline && bound.has_passed() {
            return End::DeadlinePassed;
        }
        match timeout_at(bound.at, self.announce(&call)).await {
            Ok(answer) => End::Answer(answer),
            Err(_) if bound.is_deadline => End::DeadlinePassed,
            Err(_) => End::Answer(failed(HeaderMap::new(), Failure::timeout(false), None)),
        }
    }

    /// Ends the session that `headers` name with one DELETE; without a deadline it is bounded by 30 s. The server's
    /// status is reported whatever it is; 502 when there is none.
    pub async fn terminate(&self, headers: HeaderMap, deadline: Option<Instant>) -> End {
        // A command may allow hours, and holds one of few slots all that time.
        let bound = Bound::new(deadline, deadline.map_or(TERMINATE_TIMEOUT, |_| self.ttl));
        if bound.is_deadline && bound.has_passed() {
            return End::DeadlinePassed;
        }
        let request = self.build(Method::DELETE, &[], &headers, Bytes::new());
        let unreachable = |failure: Failure| Answer {
            code: failure.code(),
            headers: HeaderMap::new(),
            body: None,
            failure: Some(failure),
        };
        match timeout_at(bound.at, self.client.send(request)).await {
            Ok(Ok(response)) => End::Answer(self.acknowledged(response)),
            Ok(Err(error)) => End::Answer(unreachable(self.unanswered(&error))),
            Err(_) if bound.is_deadline => End::DeadlinePassed,
            Err(_) => End::Answer(unreachable(Failure::timeout(false))),
        }
    }

    /// `head` is filled in as soon as the head of the response is there.
    async fn exchange(
        &self,
        call: &Call,
        notes: &mpsc::Sender<Note>,
        head: &mut Option<HeaderMap>,
    ) -> Answer {
        let id = call.message.id();
        let response = match self.client.send(self.post(&call.headers, call.message.raw().clone())).await {
            Ok(response) => response,
            Err(error) => return failed(HeaderMap::new(), self.unanswered(&error), id),
        };
        let headers = head.insert(response.headers().clone());
        if !response.status().is_success() {
            return refused(response, id).await;
        }
        let code = response.status().as_u16();
        let media = media(headers);
        let outcome = match media {
            Media::Json => self.read_json(response, id).await,
            Media::Stream => self.follow(call, response, notes).await,
            Media::Other => Err(Failure::protocol(Kind::NonProtocolResponse)),
        };
        let mut headers = head.take().unwrap_or_default();
        match outcome {
            Ok(body) => {
                // A stream keeps its label; everything else is labelled as what the body is.
                if media != Media::Stream {
                    headers.insert(CONTENT_TYPE, JSON);
                }
                Answer { code, headers, body: Some(body), failure: None }
            }
            Err(failure) => failed(headers, failure, id),
        }
    }

    async fn read_json(&self, response: Response<Incoming>, id: Option<&str>) -> Result<Bytes, Failure> {
        let (_, body) =
            net::read_body(response, self.answer_bytes).await.map_err(|e| Failure::from_read(e.why))?;
        answer::of_success(&body, id.unwrap_or_default()).map_err(Failure::protocol)
    }

    async fn announce(&self, call: &Call) -> Answer {
        match self.client.send(self.post(&call.headers, call.message.raw().clone())).await {
            Ok(response) if response.status().is_success() => self.acknowledged(response),
            Ok(response) => refused(response, None).await,
            Err(error) => {
                let failure = self.unanswered(&error);
                if error.phase == net::Phase::Exchange {
                    return failed(HeaderMap::new(), failure, None);
                }
                let headers = HeaderMap::new();
                Answer { code: failure.code(), headers, body: None, failure: Some(failure) }
            }
        }
    }

    /// The status is the whole answer; a body is not wanted.
    fn acknowledged(&self, response: Response<Incoming>) -> Answer {
        let done = response.body().is_end_stream();
        let (head, body) = BodyReader::new(response);
        if !done {
            self.leftovers.take(body);
        }
        Answer { code: head.status.as_u16(), headers: head.headers, body: None, failure: None }
    }

    /// Logs a request that got no response and classifies it.
    fn unanswered(&self, error: &net::Error) -> Failure {
        let failure = Failure::from_net(error);
        let mut fields = failure.fields();
        fields.push(("error", crate::log::Value::show(error)));
        self.log.debug(COMPONENT, "no response from the MCP server", &fields);
        failure
    }
}

/// A made-up answer with what the server said in headers, if it said anything.
fn failed(mut headers: HeaderMap, failure: Failure, id: Option<&str>) -> Answer {
    headers.insert(CONTENT_TYPE, JSON);
    Answer { code: failure.code(), headers, body: Some(failure.body(id)), failure: Some(failure) }
}

/// A status other than 2xx: the server's own JSON-RPC error byte for byte, else a failure. `id` is the request's;
/// `None` for a notification, which has no error of its own.
async fn refused(response: Response<Incoming>, id: Option<&str>) -> Answer {
    let code = response.status().as_u16();
    let (mut headers, kept) = match net::read_body(response, ERROR_BODY_BYTES).await {
        Ok((head, body)) => (head.headers, answer::of_error(&body, id)),
        Err(e) if e.why == net::ReadFailure::TooLarge => (e.parts.headers, Err(Kind::ResponseBodyTooLarge)),
        Err(e) => (e.parts.headers, Err(Kind::ResponseBodyUnreadable)),
    };
    match kept {
        Ok(body) => {
            headers.insert(CONTENT_TYPE, JSON);
            Answer { code, headers, body: Some(body), failure: None }
        }
        Err(kind) => failed(headers, Failure::of_status(code, kind), id),
    }
}

#[cfg(test)]
mod tests;
