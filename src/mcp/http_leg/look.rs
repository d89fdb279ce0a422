//! Looking at a server without speaking MCP to it: a GET, or a connection alone. Confined processes only.
//!
//! Goes the way that calls go, with the operator's headers. Reads little, repeats nothing.

use bytes::Bytes;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, Uri};

use super::{Http, JSON};
use crate::net;

/// The most bytes of a document that are read.
const MAX_DOCUMENT: usize = 64 * 1024;
const ANYTHING: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

impl Http {
    /// The path of the endpoint.
    #[must_use]
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The status of a GET of the endpoint. There is no bound on its time.
    ///
    /// # Errors
    /// When no response came.
    pub async fn status(&self) -> Result<u16, net::Error> {
        let request = self.build(Method::GET, &[(ACCEPT, ANYTHING)], &HeaderMap::new(), Bytes::new());
        // The body may be a stream without an end.
        Ok(self.client.send(request).await?.status().as_u16())
    }

    /// The document at another path of the server. There is no bound on its time.
    ///
    /// # Errors
    /// When no response came.
    pub async fn document(&self, path: &str) -> Result<(u16, Bytes), net::Error> {
        let broken = || net::Error::unsent(net::Phase::Exchange, net::Cause::Other, "the path makes no URL");
        let mut parts = self.url.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| broken())?);
        let mut request = self.build(Method::GET, &[(ACCEPT, JSON)], &HeaderMap::new(), Bytes::new());
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| broken())?;
        let response = self.client.send(request).await?;
        let status = response.status().as_u16();
        // A body that is too large or breaks off is none.
        let body =
            net::read_body(response, MAX_DOCUMENT).await.map_or_else(|_| Bytes::new(), |(_, body)| body);
        Ok((status, body))
    }

    /// Connects, with TLS where the URL says so, and closes the connection.
    ///
    /// # Errors
    /// When it cannot be connected to.
    pub async fn connect(&self) -> Result<(), net::Error> {
        self.client.connect(&self.url).await
    }
}
