//! Replies to requests that a server sends in the middle of a call. Worker only.
//!
//! There is no client behind the tunnel that could take them, so `ping` is answered and everything else is refused,
//! and the call goes on. Must never forward one, nor hold more than a few replies at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::stream::Reading;
use super::{COMPONENT, Http, SESSION_ID};
use crate::mcp::jsonrpc::{self, Message};

/// Bound on one reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

impl Http {
    /// Sends the reply in a task of its own.
    pub(super) fn reply(&self, reading: &Reading<'_>, request: &Message) {
        let id = request.id().unwrap_or("null");
        let count = self.server_requests.fetch_add(1, Ordering::Relaxed) + 1;
        let known = request.method() == "ping";
        let fields = [("method", if known { "ping" } else { "other" }.into()), ("count", count.into())];
        let Ok(permit) = Arc::clone(&self.replies).try_acquire_owned() else {
            self.log.warn(
                COMPONENT,
                "too many requests of the MCP server itself, one is not answered",
                &fields,
            );
            return;
        };
        self.log.info(COMPONENT, "the MCP server sent a request of its own, answered by the agent", &fields);
        let body = if known {
            jsonrpc::result_body(id, "{}")
        } else {
            jsonrpc::error_body(Some(id), -32601, "Method not found", None)
        };
        let mut request = self.post(&reading.call.headers, body);
        if let Some(session) = &reading.session {
            request.headers_mut().insert(SESSION_ID, session.clone());
        }
        let (client, log) = (self.client.clone(), self.log.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let outcome = match timeout(REPLY_TIMEOUT, client.send(request)).await {
                Ok(Ok(response)) if response.status().is_success() => return,
                Ok(Ok(_)) => "refused",
                Ok(Err(_)) => "no response",
                Err(_) => "timeout",
            };
            log.debug(COMPONENT, "a reply did not reach the MCP server", &[("outcome", outcome.into())]);
        });
    }
}
