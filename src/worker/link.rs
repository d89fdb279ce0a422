//! The worker's end of the socket to the broker: batches what goes up, hands out what comes down. Worker only.
//!
//! All that the tasks of one loop turn have to say goes up in one frame. The queue needs no bound of its own:
//! what can be in it is bounded by the commands in progress.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::ipc::channel::AsyncChannel;
use crate::ipc::msg::{self, FrameError, FromWorker, MAX_MESSAGES, ToWorker};

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

/// Why the link ended. Either way the worker must end.
#[derive(Debug)]
pub enum LinkError {
    /// The broker is gone.
    Closed,
    /// The socket failed.
    Io(std::io::Error),
    /// A frame could not be read or written.
    Frame(FrameError),
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("the broker closed the socket"),
            Self::Io(e) => write!(f, "the socket to the broker failed: {e}"),
            Self::Frame(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<std::io::Error> for LinkError {
    fn from(e: std::io::Error) -> Self {
        Self::Io(e)
    }
}

/// What the broker said, with the descriptors that came along.
pub type Down = (Vec<ToWorker>, Vec<OwnedFd>);

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
    /// Sends what is queued until the socket fails or every [`Link`] is gone.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn run(mut self) -> Result<(), LinkError> {
        let mut batch = Vec::with_capacity(MAX_MESSAGES);
        while self.queue.recv_many(&mut batch, MAX_MESSAGES).await > 0 {
            self.send(&batch).await?;
            batch.clear();
        }
        Ok(())
    }

    /// Sends one batch in as few frames as it fits into.
    async fn send(&self, batch: &[FromWorker]) -> Result<(), LinkError> {
        let mut rest = batch;
        let mut take = rest.len();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(take.min(rest.len()));
            match msg::encode(now) {
                Ok(frame) => {
                    self.channel.send_frame(&frame).await?;
                    rest = later;
                    take = rest.len();
                }
                Err(FrameError::TooLong(_)) if now.len() > 1 => take = now.len() / 2,
                Err(e) => return Err(LinkError::Frame(e)),
            }
        }
        Ok(())
    }
}
