//! The MCP stub over Streamable HTTP: a well-behaved server whose next answers a test can script exactly.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::body::{Body, Reply};
use super::mcp::{self, Steps};
use super::pki::{Ca, LOCAL};
use super::records::Log;
use super::server::{Conn, Listen, Server};
use super::tunnel::read;

/// How a stub is started.
#[derive(Clone, Copy, Debug)]
pub struct StubOptions {
    /// Serve `https://` with a certificate of a fresh authority.
    pub tls: bool,
    /// Speak HTTP/2 too.
    pub http2: bool,
    /// Require a client certificate of the stub's authority; needs `tls`.
    pub require_client_cert: bool,
    /// A fixed port; 0 takes any.
    pub port: u16,
    /// How many requests are kept for inspection.
    pub keep: usize,
    /// Listen here instead of on 127.0.0.1; for tests in a network of their own.
    pub host: Option<IpAddr>,
    /// What its certificate is for.
    pub names: &'static [&'static str],
}

impl Default for StubOptions {
    fn default() -> Self {
        Self {
            tls: false,
            http2: true,
            require_client_cert: false,
            port: 0,
            keep: 10_000,
            host: None,
            names: &LOCAL,
        }
    }
}

/// One request the stub received.
#[derive(Clone, Debug)]
pub struct StubRequest {
    /// When its head arrived (monotonic).
    pub arrived: Instant,
    /// The connection it came on, counted from 1.
    pub connection: usize,
    /// The HTTP version.
    pub version: http::Version,
    /// The HTTP method.
    pub method: Method,
    /// The path with query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as received.
    pub body: Bytes,
}

impl StubRequest {
    /// The body, parsed.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method, empty when there is none.
    pub fn rpc_method(&self) -> String {
        self.json().get("method").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The first value of a header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}

type Handler = Arc<dyn Fn(&StubRequest) -> Option<Reply> + Send + Sync>;

struct Shared {
    requests: Mutex<Log<StubRequest>>,
    script: Mutex<VecDeque<Reply>>,
    handler: Mutex<Option<Handler>>,
    sessions: AtomicU64,
    changed: Notify,
}

/// A running stub. Dropping it closes everything.
pub struct Stub {
    /// The authority of its certificate and of the client certificates it accepts.
    pub ca: Ca,
    shared: Arc<Shared>,
    listen: Listen,
    server: Server,
}

impl Stub {
    /// Starts one on 127.0.0.1.
    pub async fn start(options: StubOptions) -> Self {
        let ca = Ca::new();
        let clients = options.require_client_cert.then_some(&ca);
        let tls = options.tls.then(|| ca.server_for(options.names).server_config(options.http2, clients));
        let shared = Arc::new(Shared {
            requests: Mutex::new(Log::new(options.keep)),
            script: Mutex::default(),
            handler: Mutex::default(),
            sessions: AtomicU64::new(1),
            changed: Notify::new(),
        });
        let mut listen = Listen { tls, http2: options.http2, port: options.port, host: options.host };
        let server = serve(&shared, listen.clone()).await;
        listen.port = server.addr.port();
        Self { ca, shared, listen, server }
    }

    /// The MCP endpoint.
    pub fn url(&self) -> String {
        let scheme = if self.listen.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/mcp", self.listen.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.listen.port
    }

    /// The next request (after those already scripted) gets exactly this answer.
    pub fn on_next(&self, reply: Reply) {
        self.shared.script.lock().unwrap().push_back(reply);
    }

    /// Asked for every request that no script answers; `None` lets the stub answer by itself.
    pub fn handler(&self, handler: impl Fn(&StubRequest) -> Option<Reply> + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Some(Arc::new(handler));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<StubRequest> {
        self.shared.requests.lock().unwrap().all()
    }

    /// How many requests arrived so far.
    pub fn request_count(&self) -> usize {
        self.shared.requests.lock().unwrap().count()
    }

    /// Waits until `count` requests arrived (counted from the start) and returns them all; panics otherwise.
    pub async fn wait_for_requests(&self, count: usize, timeout: Duration) -> Vec<StubRequest> {
        let end = tokio::time::Instant::now() + timeout;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.request_count() >= count {
                return self.requests();
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                panic!("{} requests instead of {count} within {timeout:?}", self.request_count());
            }
        }
    }

    /// Connection counts, what was negotiated, `cut_all`.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Goes away like a killed process.
    pub fn go_down(&self) {
        self.server.stop();
    }

    /// Comes back on the same port after [`Self::go_down`].
    pub async fn come_back(&mut self) {
        self.server = serve(&self.shared, self.listen.clone()).await;
    }
}

async fn serve(shared: &Arc<Shared>, listen: Listen) -> Server {
    Server::start_patiently(listen, {
        let shared = shared.clone();
        move |request, conn| receive(shared.clone(), request, conn)
    })
    .await
}

async fn receive(shared: Arc<Shared>, request: Request<Incoming>, conn: Arc<Conn>) -> Option<Response<Body>> {
    let arrived = Instant::now();
    let (head, body) = request.into_parts();
    let request = StubRequest {
        arrived,
        connection: conn.number,
        version: head.version,
        method: head.method,
        path: head.uri.path_and_query().map_or_else(String::new, |p| p.as_str().to_owned()),
        headers: head.headers,
        body: read(body).await.unwrap_or_default(),
    };
    shared.requests.lock().unwrap().push(request.clone());
    shared.changed.notify_waiters();
    let mut scripted = shared.script.lock().unwrap().pop_front();
    if scripted.is_none() {
        let handler = shared.handler.lock().unwrap().clone();
        scripted = handler.and_then(|handler| handler(&request));
    }
    match scripted {
        Some(reply) => reply.play(&conn.line).await,
        None => Some(behave(&shared, &request).await),
    }
}

fn with(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if !content_type.is_empty() {
        response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    }
    response
}

async fn behave(shared: &Shared, request: &StubRequest) -> Response<Body> {
    match request.method {
        Method::POST => {}
        Method::DELETE => return with(200, "", Body::empty()),
        _ => return with(405, "", Body::empty()),
    }
    match mcp::answer(request.text()) {
        Steps::Accepted => with(202, "", Body::empty()),
        Steps::Silent => std::future::pending().await,
        Steps::Status(status, body) => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
            with(status, kind, Body::full(body))
        }
        Steps::Answer(pause, body) => {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            let opens = body.contains("\"serverInfo\"") && !body.contains("supportedVersions");
            let mut response = with(200, "application/json", Body::full(body));
            if opens {
                let session = format!("session-{}", shared.sessions.fetch_add(1, Ordering::Relaxed));
                response.headers_mut().insert("mcp-session-id", HeaderValue::from_str(&session).unwrap());
            }
            response
        }
        Steps::Stream { notes, interval, answer } => {
            let (sender, receiver) = mpsc::channel::<Bytes>(4);
            tokio::spawn(async move {
                for (n, text) in notes.iter().chain([&answer]).enumerate() {
                    if n > 0 && !interval.is_zero() {
                        tokio::time::sleep(interval).await;
                    }
                    if sender.send(format!("event: message\ndata: {text}\n\n").into()).await.is_err() {
                        return;
                    }
                }
            });
            with(200, "text/event-stream", Body::channel(receiver))
        }
    }
}
