//! The rest of a body that nobody needs. Worker only.
//!
//! A connection of HTTP/1.1 can carry the next request only when the response before has been read to its end, and a
//! server usually ends a stream right after the answer. So the rest is read and thrown away, within narrow bounds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::net::BodyReader;

/// How long to wait for the end.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How much to read.
const BYTES: usize = 64 << 10;
/// How many bodies at a time; what comes above is closed at once.
const AT_A_TIME: usize = 16;

/// The bodies being read to their end.
#[derive(Clone, Debug)]
pub(super) struct Leftovers(Arc<Semaphore>);

impl Leftovers {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }

    /// Reads `body` to its end in a task of its own, or closes it.
    pub(super) fn take(&self, mut body: BodyReader) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _permit = permit;
            let mut left = BYTES;
            let read = async {
                while let Ok(Some(chunk)) = body.next().await {
                    match left.checked_sub(chunk.len()) {
                        Some(less) => left = less,
                        None => return,
                    }
                }
            };
            let _ = timeout(TIMEOUT, read).await;
        });
    }
}
