//! Placeholder.
use super::{Call, End, Note};
use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Placeholder.
#[derive(Debug)]
pub struct Http {}

impl Http {
    /// Placeholder.
    pub async fn request(&self, _call: Call, _notes: &mpsc::Sender<Note>) -> End {
        End::DeadlinePassed
    }
    /// Placeholder.
    pub async fn notification(&self, _call: Call) -> End {
        End::DeadlinePassed
    }
    /// Placeholder.
    pub async fn terminate(&self, _headers: HeaderMap, _deadline: Option<Instant>) -> End {
        End::DeadlinePassed
    }
}
