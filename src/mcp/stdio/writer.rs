//! The lines that wait for a child's stdin, and how they get there.

use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::child::{Child, State};
use crate::mcp::failure::{Failure, Kind};

/// A line on its way to stdin.
pub(super) struct Outgoing {
    pub(super) line: Vec<u8>,
    /// Bytes of it that stdin has taken.
    pub(super) written: usize,
    pub(super) origin: Origin,
    _room: Option<OwnedSemaphorePermit>,
}

/// Who wants a line written.
pub(super) enum Origin {
    /// A caller, for the request with this number.
    Request(u64),
    /// A caller, told when it has been written.
    Notification(oneshot::Sender<()>),
    /// The agent itself.
    Agent,
}

impl Child {
    /// Writes what waits until that is impossible. A line that has begun is finished before any other, whatever
    /// becomes of its caller; once nobody waits for it, the child has `stall`, at
    /// most twice, to take something of it.
    pub(super) async fn write(&self, stdin: pipe::Sender) -> Failure {
        loop {
            if !self.has_lines() {
                tokio::select! {
                    () = self.queued.notified() => continue,
                    // The server has closed it. What it had not read yet is lost without a further word.
                    broken = stdin.ready(Interest::ERROR) => match broken {
                        Ok(ready) if !ready.is_error() => continue,
                        _ => return Failure::closed(Kind::ClosedPipe),
                    },
                }
            }
            match timeout(self.settings.timing.stall, stdin.writable()).await {
                Err(_) if self.is_stuck() => return Failure::closed(Kind::ConnectionClosed),
                Err(_) => continue,
                Ok(Err(_)) => return Failure::closed(Kind::ClosedPipe),
                Ok(Ok(())) => {}
            }
            if self.write_some(&stdin).is_err() {
                return Failure::closed(Kind::ClosedPipe);
            }
        }
    }

    fn has_lines(&self) -> bool {
        let mut state = self.lock();
        state.forget_unwanted();
        let some = !state.queue.is_empty();
        drop(state);
        if !some {
            self.calm();
        }
        some
    }

    fn is_stuck(&self) -> bool {
        let state = self.lock();
        let waited_for = |line: &Outgoing| !matches!(line.origin, Origin::Agent) && state.wanted(line);
        state.queue.front().is_some_and(|line| line.written > 0 && !waited_for(line))
    }

    fn write_some(&self, stdin: &pipe::Sender) -> std::io::Result<()> {
        let mut state = self.lock();
        state.forget_unwanted();
        let Some(front) = state.queue.front_mut() else { return Ok(()) };
        match stdin.try_write(front.line.get(front.written..).unwrap_or_default()) {
            Ok(n) => front.written += n,
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
        if front.written >= front.line.len() {
            state.written();
            drop(state);
            self.calm();
        }
        Ok(())
    }
}

impl State {
    /// Adds a line; `room` is given back when the line is gone.
    pub(super) fn put(&mut self, line: Vec<u8>, origin: Origin, room: Option<OwnedSemaphorePermit>) {
        self.queue.push_back(Outgoing { line, written: 0, origin, _room: room });
    }

    /// Whether somebody waits for what the line brings.
    fn wanted(&self, line: &Outgoing) -> bool {
        match &line.origin {
            Origin::Request(number) => self.table.get(*number).is_some(),
            Origin::Notification(tell) => !tell.is_closed(),
            Origin::Agent => true,
        }
    }

    /// Drops lines from the front that nobody wants any more and that have not begun.
    fn forget_unwanted(&mut self) {
        while self.queue.front().is_some_and(|line| line.written == 0 && !self.wanted(line)) {
            self.queue.pop_front();
        }
    }

    /// The front line has been written to its end.
    fn written(&mut self) {
        match self.queue.pop_front().map(|line| line.origin) {
            // Who does not listen any more need not know.
            Some(Origin::Notification(tell)) => drop(tell.send(())),
            Some(Origin::Agent) => self.replies = self.replies.saturating_sub(1),
            Some(Origin::Request(_)) | None => {}
        }
    }
}
