//! The requests to an MCP server: which headers in which order of precedence. Worker only.
//!
//! Defaults, then the operator's, then the command's; a later layer replaces headers of the same name whole. Must
//! never invent a session or a protocol version.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};

use super::{COMPONENT, Http, JSON};
use crate::config::types::Mcp;
use crate::log::Log;
use crate::mcp::headers;

const JSON_OR_STREAM: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const PRODUCT: HeaderValue = HeaderValue::from_static(concat!("tunnelward/", env!("CARGO_PKG_VERSION")));

impl Http {
    /// A message to the server.
    pub(super) fn post(&self, forwarded: &HeaderMap, body: Bytes) -> Request<Bytes> {
        let defaults = [(CONTENT_TYPE, JSON), (ACCEPT, JSON_OR_STREAM)];
        self.build(Method::POST, &defaults, forwarded, body)
    }

    /// Any request to the configured URL. The encoding of the answer is ours to choose, because we read it.
    pub(super) fn build(
        &self,
        method: Method,
        defaults: &[(HeaderName, HeaderValue)],
        forwarded: &HeaderMap,
        body: Bytes,
    ) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, PRODUCT);
        for (name, value) in defaults {
            headers.insert(name, value.clone());
        }
        overlay(headers, &self.fixed);
        overlay(headers, forwarded);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        request
    }
}

/// The operator's headers without those that only the agent may set.
pub(super) fn fixed_headers(mcp: &Mcp, log: &Log) -> HeaderMap {
    let mut fixed = HeaderMap::new();
    for (name, value) in &mcp.extra_headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let value = HeaderValue::from_str(value.expose()).ok();
        match name.zip(value) {
            Some((name, mut value)) if !headers::is_framing(name.as_str()) => {
                value.set_sensitive(true);
                fixed.append(name, value);
            }
            _ => log.warn(COMPONENT, "a header of mcp.extra_headers cannot be sent", &[]),
        }
    }
    fixed
}

fn overlay(onto: &mut HeaderMap, over: &HeaderMap) {
    for name in over.keys() {
        onto.remove(name);
        for value in over.get_all(name) {
            onto.append(name, value.clone());
        }
    }
}
