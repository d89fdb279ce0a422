//! From a URL to a connection that can carry HTTP. Worker only; never speaks HTTP to the peer itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address;
use super::dial::Dialer;
use super::refusal::Note;
use super::stream::{Carrier, Stream, server_name};
use super::way::{Via, Way};
use super::{Cause, Error, Options, Phase};

/// Opens the connections of a [`super::Client`].
#[derive(Clone)]
pub(super) struct Connector {
    dialer: Dialer,
    tls: TlsConnector,
    connect_timeout: Duration,
    tls_timeout: Duration,
    server_name: Option<ServerName<'static>>,
    note: Note,
    way: Way,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("way", &self.way).finish_non_exhaustive()
    }
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
            dialer: Dialer::new(options.connect_timeout, options.lost_after),
            tls: TlsConnector::from(Arc::new(tls)),
            connect_timeout: options.connect_timeout,
            tls_timeout: options.tls_timeout,
            server_name: options.server_name.clone(),
            note,
            way: options.way.clone(),
        }
    }

    pub(super) async fn connect(self, uri: http::Uri) -> Result<TokioIo<Carrier>, Error> {
        let (secure, default_port) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => {
                return Err(Error::unsent(Phase::Connect, Cause::Other, "the URL is neither http nor https"));
            }
        };
        let (host, port) = address::of_url(&uri, default_port)?;
        let stream = match &self.way.via {
            Via::Direct => Stream::Tcp(self.dialer.dial(&host, port, self.way.allowed.as_deref()).await?),
            Via::Unix { binding, sockets } => {
                match timeout(self.connect_timeout, sockets.open(*binding)).await {
                    Ok(opened) => Stream::Unix(opened?),
                    Err(_) => {
                        return Err(Error::unsent(Phase::Connect, Cause::Timeout, "connecting timed out"));
                    }
                }
            }
            Via::Proxy(proxy) => {
                address::permit(&host)?;
                if !secure {
                    let stream = proxy.open(&self.dialer, self.tls_timeout).await?;
                    return Ok(TokioIo::new(Carrier { stream, forwards: true }));
                }
                proxy.tunnel(&self.dialer, self.tls_timeout, &host, port).await?
            }
        };
        if !secure {
            return Ok(TokioIo::new(Carrier { stream, forwards: false }));
        }
        let name = match self.server_name {
            Some(name) => name,
            None => server_name(host)?,
        };
        let stream = stream.secure(&self.tls, name, self.tls_timeout, self.note).await?;
        Ok(TokioIo::new(Carrier { stream, forwards: false }))
    }
}

/// Opens a connection to the host of an `https` URL and closes it after the handshake, without having said anything.
///
/// # Errors
/// When no handshake was completed.
pub async fn handshake(tls: &rustls::ClientConfig, options: &Options, uri: &http::Uri) -> Result<(), Error> {
    Connector::new(tls, options, Note::default()).connect(uri.clone()).await.map(drop)
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = TokioIo<Carrier>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
