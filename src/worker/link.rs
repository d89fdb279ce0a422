//! The worker's end of the socket to the broker: batches what goes up, hands out what comes down. Worker only.
//!
//! All that the tasks of one loop turn have to say goes up in one frame. The queue needs no bound of its own:
//! what can be in it is bounded by the commands in progress.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::ipc::channel::{self, AsyncChannel};
use crate::ipc::msg::{FromWorker, MAX_MESSAGES};

/// The way to tell the broker something. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Link(mpsc::UnboundedSender<FromWorker>);

impl Link {
    /// Queues a message; it leaves with the next frame.
    pub fn tell(&self, message: FromWorker) {
        // The receiver lives as long as the worker; after it nobody is left to be told.
        let _ = self.0.send(message);
    }
}

/// The task that owns the sending half.
#[derive(Debug)]
pub struct Uplink {
    channel: Arc<AsyncChannel>,
    queue: mpsc::UnboundedReceiver<FromWorker>,
}

/// A link and the task that serves it.
#[must_use]
pub fn pair(channel: Arc<AsyncChannel>) -> (Link, Uplink) {
    let (send, queue) = mpsc::unbounded_channel();
    (Link(send), Uplink { channel, queue })
}

impl Uplink {
    /// Sends what is queued until the worker's last word has left, the socket fails or every [`Link`] is gone.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(mut self) -> Result<(), channel::Error> {
        let mut batch = Vec::with_capacity(MAX_MESSAGES);
        while self.queue.recv_many(&mut batch, MAX_MESSAGES).await > 0 {
            let last = batch.iter().position(|message| matches!(message, FromWorker::Drained { .. }));
            batch.truncate(last.map_or(batch.len(), |at| at.saturating_add(1)));
            self.channel.send(&batch).await?;
            if last.is_some() {
                break;
            }
            batch.clear();
        }
        Ok(())
    }
}

/// A link and what is said over it.
#[cfg(test)]
pub fn overheard() -> (Link, mpsc::UnboundedReceiver<FromWorker>) {
    let (send, queue) = mpsc::unbounded_channel();
    (Link(send), queue)
}
