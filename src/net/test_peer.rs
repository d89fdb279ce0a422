//! Peers for the tests of this room: certificates made on the spot, TLS and plain servers on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Client, Options};

/// A certification authority of this test only.
pub(super) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // A name of its own: two authorities of the same name would be told apart by their signatures only.
        params.distinguished_name.push(DnType::CommonName, format!("test {:?}", &key.public_key_raw()[..8]));
        Self { issuer: CertifiedIssuer::self_signed(params, key).unwrap() }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A TLS server for `names` that offers `alpn`; its certificate ran out in 2021 when `expired`.
    pub(super) fn acceptor(&self, names: &[&str], alpn: &[&str], expired: bool) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub(super) fn options() -> Options {
    Options {
        http2: true,
        idle: Duration::from_secs(90),
        connect_timeout: Duration::from_secs(5),
        server_name: None,
        tls_timeout: Duration::from_secs(5),
        lost_after: None,
        way: super::Way::direct(),
    }
}

pub(super) fn client(ca: Option<&Ca>, options: Options) -> Client {
    let pem = ca.map(Ca::pem);
    Client::new(crate::tls::client_config(pem.as_deref()).unwrap(), options)
}

pub(super) fn get(url: &str) -> http::Request<Bytes> {
    http::Request::get(url).body(Bytes::new()).unwrap()
}

pub(super) fn post(url: &str, body: impl Into<Bytes>) -> http::Request<Bytes> {
    http::Request::post(url).body(body.into()).unwrap()
}

/// What a server has seen.
#[derive(Clone, Default)]
pub(super) struct Seen {
    connections: Arc<AtomicUsize>,
    pub(super) requests: Arc<AtomicUsize>,
}

impl Seen {
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A proper HTTP server on `host` that answers every request with its version, its path and what it was sent.
pub(super) async fn echo(host: &str, tls: Option<TlsAcceptor>) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind((host, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Seen::default();
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let (tls, shared) = (tls.clone(), shared.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, shared).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, shared).await;
                        }
                    }
                }
            });
        }
    });
    (address, seen)
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, seen: Seen) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        seen.requests.fetch_add(1, Ordering::SeqCst);
        async move {
            use http_body_util::BodyExt;
            let version = format!("{:?}", request.version());
            let target = match request.uri().scheme() {
                // HTTP/2 has a scheme always; with HTTP/1.1 it is the absolute form.
                Some(_) if request.version() == http::Version::HTTP_11 => request.uri().to_string(),
                _ => request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            };
            let mut response =
                http::Response::builder().header("x-version", version).header("x-target", target);
            for (from, to) in [
                ("host", "x-host"),
                ("content-length", "x-length"),
                ("accept-encoding", "x-accept"),
                ("proxy-authorization", "x-proxy-authorization"),
            ] {
                if let Some(value) = request.headers().get(from) {
                    response = response.header(to, value);
                }
            }
            let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
            Ok::<_, Infallible>(response.body(Full::new(body)).unwrap())
        }
    });
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// A server that answers with exact bytes: it reads one request as far as its head, writes `answer`, waits for
/// `linger`, and closes.
pub(super) async fn raw(answer: impl Into<Vec<u8>>, linger: Duration) -> SocketAddr {
    let answer = answer.into();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                tokio::time::sleep(linger).await;
            });
        }
    });
    address
}

/// Reads up to the empty line.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
