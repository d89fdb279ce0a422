//! What stands between the worker and a peer: nothing, a forward proxy, or the broker with a Unix socket. Worker only.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio_rustls::TlsConnector;

use super::address::{self, Host};
use super::dial::Dialer;
use super::refusal::Note;
use super::sockets::Sockets;
use super::stream::{Stream, server_name};
use super::{Cause, Error, Phase, tunnel};
use crate::config::route::{self, Network, Route};

/// The way to one peer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Way {
    pub(super) via: Via,
    /// The networks that the peer's address must be in.
    pub(super) allowed: Option<Arc<[Network]>>,
}

#[derive(Clone, Debug)]
pub(super) enum Via {
    Direct,
    Proxy(Arc<Proxy>),
    Unix { binding: u8, sockets: Sockets },
}

impl Way {
    /// Straight to the peer.
    #[must_use]
    pub fn direct() -> Self {
        Self { via: Via::Direct, allowed: None }
    }

    /// As the configuration says. `tls` is for the connection to an `https://` proxy: what it presents and trusts has
    /// nothing to do with the peer behind it. `sockets` leads to the broker.
    #[must_use]
    pub fn of(route: &Route, tls: &rustls::ClientConfig, sockets: &Sockets) -> Self {
        let via = match &route.via {
            route::Via::Direct => Via::Direct,
            route::Via::Proxy(proxy) => Via::Proxy(Arc::new(Proxy::new(proxy, tls))),
            route::Via::Unix { binding } => Via::Unix { binding: *binding, sockets: sockets.clone() },
        };
        Self { via, allowed: route.allowed_ips.clone().map(Arc::from) }
    }

    /// The proxy that takes requests for `http://` URLs as they are.
    pub(super) fn forwards(&self, uri: &http::Uri) -> Option<&Proxy> {
        match &self.via {
            Via::Proxy(proxy) if uri.scheme() == Some(&http::uri::Scheme::HTTP) => Some(proxy),
            Via::Direct | Via::Proxy(_) | Via::Unix { .. } => None,
        }
    }
}

/// A forward proxy, and how it is spoken to.
pub struct Proxy {
    url: http::Uri,
    /// For an `https://` proxy.
    tls: Option<TlsConnector>,
    authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Proxy {
    /// One of the configuration; `tls` is used when its URL is `https://`.
    #[must_use]
    pub fn new(proxy: &route::Proxy, tls: &rustls::ClientConfig) -> Self {
        let url = proxy.url.uri().clone();
        let tls = (url.scheme() == Some(&http::uri::Scheme::HTTPS)).then(|| {
            // CONNECT and absolute-form requests are HTTP/1.1.
            let mut tls = tls.clone();
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
            TlsConnector::from(Arc::new(tls))
        });
        let authorization = proxy.authorization.as_ref().and_then(|secret| {
            let mut value = HeaderValue::from_str(secret.expose()).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { url, tls, authorization }
    }

    /// The value of `Proxy-Authorization`.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// A connection to the proxy that nothing was said on yet.
    pub(super) async fn open(&self, dialer: &Dialer, tls_timeout: Duration) -> Result<Stream, Error> {
        let default_port = if self.tls.is_some() { 443 } else { 80 };
        let (host, port) = address::of_url(&self.url, default_port)?;
        let tcp = Stream::Tcp(dialer.dial(&host, port, None).await.map_err(Error::of_proxy)?);
        match &self.tls {
            None => Ok(tcp),
            Some(tls) => {
                let name = server_name(host).map_err(Error::of_proxy)?;
                tcp.secure(tls, name, tls_timeout, Note::default()).await.map_err(Error::of_proxy)
            }
        }
    }

    /// A connection through the proxy to `host`, as if it were a direct one.
    pub(super) async fn tunnel(
        &self,
        dialer: &Dialer,
        tls_timeout: Duration,
        host: &Host,
        port: u16,
    ) -> Result<Stream, Error> {
        let mut stream = self.open(dialer, tls_timeout).await?;
        tunnel::ask(&mut stream, host, port, self.authorization.as_ref()).await?;
        Ok(stream)
    }

    /// What the answer to a request in absolute form says about the proxy rather than about the peer.
    pub(super) fn refusal(status: http::StatusCode) -> Option<Error> {
        (status == http::StatusCode::PROXY_AUTHENTICATION_REQUIRED).then(|| wants_credentials(407))
    }
}

/// The proxy wants to know who we are, or does not believe it.
pub(super) fn wants_credentials(status: u16) -> Error {
    let why = format!("the proxy wants credentials ({status})");
    Error::unsent(Phase::Proxy, Cause::ProxyAuth, why)
}

/// Finds out whether a proxy can be connected to, with TLS if its URL says so. Sends nothing.
///
/// # Errors
/// Why it cannot.
pub async fn check(proxy: &Proxy, connect_timeout: Duration, tls_timeout: Duration) -> Result<(), Error> {
    proxy.open(&Dialer::new(connect_timeout, None), tls_timeout).await.map(drop)
}
