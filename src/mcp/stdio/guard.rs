//! Keeps requests from a child of the session era that has not been initialized. Pure.
//!
//! Some servers stay silent for ever when they are called too early, so the agent answers for them. The child is
//! shared: whoever initializes it does so for all callers. A repeated `initialize` leaves things as they are until
//! it succeeds; then the server waits for `notifications/initialized` again, and so does the guard. A new child
//! starts anew.

use bytes::Bytes;

use crate::ipc::msg::{Era, Handshake};
use crate::mcp::jsonrpc::{self, Message};

/// The status of a refusal.
pub(super) const REFUSED: u16 = 409;

/// Open once the handshake is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard(pub(super) Handshake);

impl Guard {
    /// Whether the request may go to the child.
    pub(super) fn admits(self, request: &Message) -> bool {
        self.is_open() || request.era() == Era::Stateless || matches!(request.method(), "initialize" | "ping")
    }

    /// An `initialize` succeeded.
    pub(super) fn answered(&mut self) {
        self.0 = Handshake::Answered;
    }

    /// `notifications/initialized` goes to the child, ahead of everything admitted from now on.
    pub(super) fn announced(&mut self) {
        if self.0 == Handshake::Answered {
            self.0 = Handshake::Ready;
        }
    }

    /// Whether everything is admitted.
    pub(super) fn is_open(self) -> bool {
        self.0 == Handshake::Ready
    }
}

/// The body of a refusal; `id` is raw.
pub(super) fn refusal(id: Option<&str>) -> Bytes {
    let data = "{\"origin\":\"tunnel-client\",\"error_type\":\"mcp_initialization_required\"}";
    jsonrpc::error_body(id, -32002, "MCP server is not initialized: send initialize first", Some(data))
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
