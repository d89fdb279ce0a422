//! One HTTP server for everything in the lab: TLS or plain, HTTP/1.1 and HTTP/2, on loopback, with connections that
//! are counted, described, and can be cut at any moment.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::body::Body;
use super::line::{Line, Plug};

/// How a server listens.
#[derive(Clone, Default)]
pub struct Listen {
    /// TLS, with the ALPN names it holds; `None` is plain TCP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Speak HTTP/2 too (by ALPN, or by prior knowledge on plain TCP).
    pub http2: bool,
    /// A fixed port; 0 takes any.
    pub port: u16,
    /// Listen here instead of on 127.0.0.1; for tests in a network of their own.
    pub host: Option<IpAddr>,
}

/// One accepted connection.
#[derive(Debug)]
pub struct Conn {
    /// 1 for the first connection of this server.
    pub number: usize,
    /// The protocol agreed on by ALPN, such as `h2`.
    pub alpn: Option<String>,
    /// The TLS version, such as `TLSv1_3`.
    pub tls: Option<String>,
    /// The key exchange agreed on, such as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// The name in the client's hello.
    pub server_name: Option<String>,
    /// The certificate that the client presented, DER, when it did (it was then checked).
    pub client_cert: Option<Vec<u8>>,
    /// Cuts this connection.
    pub line: Line,
}

/// The counters of a server; they outlive it.
#[derive(Default)]
pub struct Shared {
    accepted: AtomicUsize,
    open: AtomicUsize,
    failed_handshakes: AtomicUsize,
    lines: Mutex<Vec<(usize, Line)>>,
    seen: Mutex<Vec<Arc<Conn>>>,
}

impl Shared {
    /// Connections accepted so far, open now, and failed TLS handshakes.
    pub fn counts(&self) -> (usize, usize, usize) {
        let get = |n: &AtomicUsize| n.load(Ordering::Relaxed);
        (get(&self.accepted), get(&self.open), get(&self.failed_handshakes))
    }
}

/// A running server; dropping it closes the listener and every connection.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Server {
    /// Listens, on 127.0.0.1 unless told otherwise, and serves each request with `service`; `None` ends the connection without an answer.
    pub async fn start<S, F>(listen: Listen, service: S) -> io::Result<Self>
    where
        S: Fn(Request<Incoming>, Arc<Conn>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        let listener =
            TcpListener::bind((listen.host.unwrap_or(Ipv4Addr::LOCALHOST.into()), listen.port)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(accept(listener, listen, shared.clone(), service));
        Ok(Self { addr, shared, task })
    }

    /// Like [`Server::start`], but waits a second for a fixed port whose last listener is still going away.
    pub async fn start_patiently<S, F>(listen: Listen, service: S) -> Self
    where
        S: Fn(Request<Incoming>, Arc<Conn>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Option<Response<Body>>> + Send + 'static,
    {
        let mut tries = 0;
        loop {
            match Self::start(listen.clone(), service.clone()).await {
                Ok(server) => return server,
                Err(_) if tries < 100 => tries += 1,
                Err(error) => panic!("cannot listen on port {}: {error}", listen.port),
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The counters.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// TLS handshakes that failed.
    pub fn failed_handshakes(&self) -> usize {
        self.shared.failed_handshakes.load(Ordering::Relaxed)
    }

    /// What was negotiated on each connection (the first 10,000 are kept).
    pub fn connections(&self) -> Vec<Arc<Conn>> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Cuts every open connection; new ones are still accepted.
    pub fn cut_all(&self, reset: bool) {
        for (_, line) in self.shared.lines.lock().unwrap().iter() {
            line.cut(reset);
        }
    }

    /// Ends every open connection politely, as before a restart of a front end.
    pub fn retire_all(&self) {
        for (_, line) in self.shared.lines.lock().unwrap().iter() {
            line.retire();
        }
    }

    /// Closes the listener and cuts every connection, as a killed process would.
    pub fn stop(&self) {
        self.task.abort();
        self.cut_all(false);
    }
}

async fn accept<S, F>(listener: TcpListener, listen: Listen, shared: Arc<Shared>, service: S)
where
    S: Fn(Request<Incoming>, Arc<Conn>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let number = shared.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let line = Line::default();
        shared.lines.lock().unwrap().push((number, line.clone()));
        let (listen, shared, service) = (listen.clone(), shared.clone(), service.clone());
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::Relaxed);
            let plug = Plug::new(stream, line.clone());
            tokio::select! {
                biased;
                () = line.told_to_end() => {}
                () = converse(plug, &listen, &shared, number, line.clone(), service) => {}
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
            shared.lines.lock().unwrap().retain(|(n, _)| *n != number);
        });
    }
}

async fn converse<S, F>(plug: Plug, listen: &Listen, shared: &Shared, number: usize, line: Line, service: S)
where
    S: Fn(Request<Incoming>, Arc<Conn>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    let mut conn = Conn {
        number,
        alpn: None,
        tls: None,
        key_exchange: None,
        server_name: None,
        client_cert: None,
        line,
    };
    let Some(config) = &listen.tls else {
        return speak(plug, listen.http2, conn, shared, service).await;
    };
    let Ok(stream) = tokio_rustls::TlsAcceptor::from(config.clone()).accept(plug).await else {
        shared.failed_handshakes.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let session = stream.get_ref().1;
    conn.alpn = session.alpn_protocol().map(|p| String::from_utf8_lossy(p).into_owned());
    conn.tls = session.protocol_version().map(|v| format!("{v:?}"));
    conn.key_exchange = session.negotiated_key_exchange_group().map(|g| format!("{:?}", g.name()));
    conn.server_name = session.server_name().map(str::to_owned);
    conn.client_cert = session.peer_certificates().and_then(|chain| Some(chain.first()?.to_vec()));
    speak(stream, listen.http2, conn, shared, service).await;
}

async fn speak<I, S, F>(io: I, http2: bool, conn: Conn, shared: &Shared, service: S)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Fn(Request<Incoming>, Arc<Conn>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Response<Body>>> + Send + 'static,
{
    let (line, conn) = (conn.line.clone(), Arc::new(conn));
    {
        let mut seen = shared.seen.lock().unwrap();
        if seen.len() < 10_000 {
            seen.push(conn.clone());
        }
    }
    let service = hyper::service::service_fn(move |request| {
        let answer = service(request, conn.clone());
        async move {
            match answer.await {
                Some(response) => Ok::<_, std::convert::Infallible>(response),
                // The line was told to end: the connection goes away under this future.
                None => std::future::pending().await,
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if !http2 {
        builder = builder.http1_only();
    }
    let connection = builder.serve_connection(TokioIo::new(io), service);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        () = line.told_to_retire() => connection.as_mut().graceful_shutdown(),
        _ = connection.as_mut() => return,
    }
    let _ = connection.await;
}
