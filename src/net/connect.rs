//! From a URL to a connection that can carry HTTP. Worker only; never speaks HTTP itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::{self, Host};
use super::dial::Dialer;
use super::refusal::Note;
use super::{Cause, Error, Options, Phase};

/// Opens the connections of a [`super::Client`].
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Dialer,
    tls: TlsConnector,
    tls_timeout: Duration,
    server_name: Option<ServerName<'static>>,
    note: Note,
}

impl Connector {
    /// `note` hears what TLS fails with after the handshake.
    pub(super) fn new(tls: &rustls::ClientConfig, options: &Options, note: Note) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = match options.http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Self {
            dialer: Dialer::new(options.connect_timeout),
            tls: TlsConnector::from(Arc::new(tls)),
            tls_timeout: options.tls_timeout,
            server_name: options.server_name.clone(),
            note,
        }
    }

    async fn connect(self, uri: http::Uri) -> Result<TokioIo<Stream>, Error> {
        let (secure, default_port) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => {
                return Err(Error::unsent(Phase::Connect, Cause::Other, "the URL is neither http nor https"));
            }
        };
        let (host, port) = address::of_url(&uri, default_port)?;
        let tcp = self.dialer.dial(&host, port).await?;
        if !secure {
            return Ok(TokioIo::new(Stream::Plain(tcp)));
        }
        let name = match self.server_name {
            Some(name) => name,
            None => server_name(host)?,
        };
        match timeout(self.tls_timeout, self.tls.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(Stream::Tls(Box::new(stream), self.note))),
            Ok(Err(error)) => Err(Error::io(Phase::Tls, &error)),
            Err(_) => Err(Error::unsent(Phase::Tls, Cause::Timeout, "the TLS handshake timed out")),
        }
    }
}

/// Opens a connection to the host of an `https` URL and closes it after the handshake, without having said anything.
///
/// # Errors
/// When no handshake was completed.
pub async fn handshake(tls: &rustls::ClientConfig, options: &Options, uri: &http::Uri) -> Result<(), Error> {
    Connector::new(tls, options, Note::default()).connect(uri.clone()).await.map(drop)
}

/// The name that the peer's certificate must carry.
fn server_name(host: Host) -> Result<ServerName<'static>, Error> {
    match host {
        Host::Address(address) => Ok(ServerName::from(address)),
        Host::Name(name) => ServerName::try_from(name).map_err(|_| {
            Error::unsent(Phase::Tls, Cause::Tls, "no certificate can carry a name of this form")
        }),
    }
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection, with or without TLS.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>, Note),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream, _) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            _ => Connected::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream, note) => note.pass(Pin::new(&mut **stream).poll_read(cx, buf), stream),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream, note) => note.pass(Pin::new(&mut **stream).poll_write(cx, buf), stream),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream, note) => {
                note.pass(Pin::new(&mut **stream).poll_write_vectored(cx, bufs), stream)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream, _) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream, note) => note.pass(Pin::new(&mut **stream).poll_flush(cx), stream),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream, _) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
