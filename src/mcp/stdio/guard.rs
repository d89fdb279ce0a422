//! Keeps requests from a child of the session era that has not been initialized. Pure.
//!
//! Some servers stay silent for ever when they are called too early, so the agent answers for them. The child is
//! shared: whoever initializes it does so for all callers. A repeated `initialize` leaves things as they are until
//! it succeeds; then the server waits for `notifications/initialized` again, and so does the guard. A new child
//! starts anew.

use bytes::Bytes;

use crate::ipc::msg::Era;
use crate::mcp::jsonrpc::{self, Message};

/// The status of a refusal.
pub(super) const REFUSED: u16 = 409;

/// How far the handshake has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Guard {
    /// No `initialize` has succeeded.
    #[default]
    Fresh,
    /// It has, and `notifications/initialized` is outstanding.
    Answered,
    /// Open.
    Ready,
}

impl Guard {
    /// Whether the request may go to the child.
    pub(super) fn admits(self, request: &Message) -> bool {
        self == Self::Ready
            || request.era() == Era::Stateless
            || matches!(request.method(), "initialize" | "ping")
    }

    /// An `initialize` succeeded.
    pub(super) fn answered(&mut self) {
        *self = Self::Answered;
    }

    /// `notifications/initialized` goes to the child, ahead of everything admitted from now on.
    pub(super) fn announced(&mut self) {
        if *self == Self::Answered {
            *self = Self::Ready;
        }
    }
}

/// The body of a refusal; `id` is raw.
pub(super) fn refusal(id: Option<&str>) -> Bytes {
    let data = "{\"origin\":\"tunnel-client\",\"error_type\":\"mcp_initialization_required\"}";
    jsonrpc::error_body(id, -32002, "MCP server is not initialized: send initialize first", Some(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, params: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        jsonrpc::parse(&Bytes::from(text)).unwrap()
    }

    #[test]
    fn only_what_needs_no_session_passes_a_closed_guard() {
        let meta = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{}}}"#;
        for guard in [Guard::Fresh, Guard::Answered] {
            for method in ["initialize", "ping", "server/discover"] {
                assert!(guard.admits(&request(method, "{}")), "{method}");
            }
            assert!(guard.admits(&request("tools/call", meta)));
            assert!(!guard.admits(&request("tools/call", "{}")));
        }
        assert!(Guard::Ready.admits(&request("tools/call", "{}")));
    }

    #[test]
    fn it_opens_in_order_and_closes_on_a_new_initialize() {
        let mut guard = Guard::default();
        guard.announced();
        assert_eq!(guard, Guard::Fresh);
        guard.answered();
        guard.announced();
        assert_eq!(guard, Guard::Ready);
        guard.answered();
        assert_eq!(guard, Guard::Answered);
    }
}
