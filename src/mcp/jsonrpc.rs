//! Reads the envelope of a JSON-RPC message without touching its bytes. Pure.

use bytes::Bytes;

/// A request or notification, with the raw text it came in.
#[derive(Clone, Debug)]
pub struct Message {
    raw: Bytes,
}

impl Message {
    /// The whole message as received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        ""
    }
    /// The id as raw JSON text; `None` makes it a notification.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        None
    }
    /// The params as raw JSON text.
    #[must_use]
    pub fn params(&self) -> Option<&str> {
        None
    }
}
