//! What the worker does when the broker says something. Worker only.

use std::os::fd::OwnedFd;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::House;
use super::drain::Order;
use super::start::StartError;
use crate::ipc::channel::AsyncChannel;
use crate::ipc::msg::ToWorker;
use crate::mcp::Upstream;
use crate::mcp::stdio::{ChildPipes, Stdio};

impl House {
    /// Does what the broker says until the socket ends.
    pub(super) async fn listen(&self, channel: &AsyncChannel) -> StartError {
        loop {
            let (messages, fds) = match channel.recv().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return StartError::Gone,
                Err(e) => return e.into(),
            };
            let mut fds = fds.into_iter();
            for message in messages {
                self.obey(message, &mut fds);
            }
        }
    }

    fn obey(&self, message: ToWorker, fds: &mut dyn Iterator<Item = OwnedFd>) {
        match message {
            ToWorker::Verdict { call, verdict } => self.dispatch.verdict(call, verdict),
            ToWorker::Orphan(ask) => self.dispatch.orphan(ask),
            ToWorker::Child { index, era, generation, carried } => {
                match (fds.next(), fds.next(), self.stdio(index)) {
                    (Some(stdin), Some(stdout), Some(stdio)) => {
                        stdio.attach(ChildPipes { stdin, stdout, era, generation, carried });
                    }
                    _ => self.log.error(
                        "mcpclient",
                        "a child without pipes or binding",
                        &[("index", index.into())],
                    ),
                }
            }
            ToWorker::ChildGone { index, generation, retry_in_ms } => {
                if let Some(stdio) = self.stdio(index) {
                    stdio.gone(generation, Duration::from_millis(retry_in_ms));
                }
            }
            ToWorker::Connected { ticket } => match fds.next() {
                Some(socket) => self.sockets.answer(ticket, Ok(socket)),
                None => self.sockets.answer(ticket, Err(std::io::ErrorKind::NotConnected.into())),
            },
            ToWorker::ConnectFailed { ticket, errno } => {
                self.sockets.answer(ticket, Err(std::io::Error::from_raw_os_error(errno)));
            }
            ToWorker::Return { index, generation } => {
                self.stdio(index).into_iter().for_each(|stdio| stdio.give_back(generation));
            }
            ToWorker::Keep { index, generation } => {
                self.stdio(index).into_iter().for_each(|stdio| stdio.keep(generation));
            }
            ToWorker::Elsewhere { index, within_ms } => {
                let within = Duration::from_millis(within_ms);
                self.stdio(index).into_iter().for_each(|stdio| stdio.elsewhere(within));
            }
            ToWorker::Drain { poll_grace_ms, deadline_ms } => {
                let now = Instant::now();
                self.drain.order(Order {
                    abort_poll: poll_grace_ms.map(|ms| now + Duration::from_millis(ms)),
                    deadline: now + Duration::from_millis(deadline_ms),
                });
            }
            ToWorker::Go { first } => {
                let go = self.go.lock().unwrap_or_else(PoisonError::into_inner).take();
                // The receiver waits until this comes.
                let _ = go.map(|go| go.send(first));
            }
            ToWorker::Facts { facts } => self.facts.answer(facts),
            ToWorker::Config { .. } => {
                self.log.error("worker", "a second configuration is ignored", &[]);
            }
        }
    }

    fn stdio(&self, wanted: u8) -> Option<&Stdio> {
        self.lanes.iter().find_map(|lane| match &lane.upstream {
            Upstream::Stdio(stdio) if stdio.index() == wanted => Some(stdio),
            Upstream::Stdio(_) | Upstream::Http(_) => None,
        })
    }
}
