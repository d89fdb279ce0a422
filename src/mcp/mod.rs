//! The MCP side: one upstream for each binding, all of them answering the same three questions. Worker only.
//!
//! Nothing here knows the control plane; nothing here opens a file or starts a process.

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::net;

pub mod failure;
pub mod headers;
pub mod http_leg;
pub mod ids;
pub mod jsonrpc;
pub mod lines;
pub mod sse;
pub mod stdio;

/// One message for a server.
#[derive(Debug)]
pub struct Call {
    /// The message.
    pub message: jsonrpc::Message,
    /// The command's headers, already filtered by [`headers::forwardable`]. Meaningless to stdio.
    pub headers: HeaderMap,
    /// When the answer is no longer wanted.
    pub deadline: Option<Instant>,
}

/// A server notification in the middle of a request.
#[derive(Debug)]
pub struct Note {
    /// The status of the response that carries it; 200 for stdio.
    pub code: u16,
    /// The headers of the response that carries it.
    pub headers: HeaderMap,
    /// The message as the server wrote it.
    pub body: Bytes,
}

/// What is to be posted for a command in the end.
#[derive(Debug)]
pub struct Answer {
    /// The upstream's status, or the one of the failure.
    pub code: u16,
    /// The upstream's headers, unfiltered; `Content-Type` already as it must leave.
    pub headers: HeaderMap,
    /// The JSON-RPC response; `None` acknowledges a notification or a session termination.
    pub body: Option<Bytes>,
    /// Set when the agent made the answer up, for the log.
    pub failure: Option<failure::Failure>,
}

/// How a command ended.
#[derive(Debug)]
pub enum End {
    /// With something to post.
    Answer(Answer),
    /// The command's deadline passed: nothing is posted.
    DeadlinePassed,
}

/// A configured MCP server.
#[derive(Debug)]
pub enum Upstream {
    /// Over Streamable HTTP.
    Http(Box<http_leg::Http>),
    /// A child of the broker.
    Stdio(stdio::Stdio),
}

impl Upstream {
    /// Forwards a request. Notifications go to `notes` as they arrive; a closed `notes` means that nobody wants them.
    pub async fn request(&self, call: Call, notes: &mpsc::Sender<Note>) -> End {
        match self {
            Self::Http(http) => http.request(call, notes).await,
            Self::Stdio(stdio) => stdio.request(call, notes).await,
        }
    }

    /// Forwards a notification.
    pub async fn notification(&self, call: Call) -> End {
        match self {
            Self::Http(http) => http.notification(call).await,
            Self::Stdio(stdio) => stdio.notification(call).await,
        }
    }

    /// Connects to an HTTP server and says nothing. A stdio server is the broker's to watch.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn touch(&self) -> Result<(), net::Error> {
        match self {
            Self::Http(http) => http.touch().await,
            Self::Stdio(_) => Ok(()),
        }
    }

    /// Ends the session that `headers` name. A stdio server has none: 405.
    pub async fn terminate(&self, headers: HeaderMap, deadline: Option<Instant>) -> End {
        match self {
            Self::Http(http) => http.terminate(headers, deadline).await,
            Self::Stdio(_) => {
                End::Answer(Answer { code: 405, headers: HeaderMap::new(), body: None, failure: None })
            }
        }
    }
}
