//! The health listener's connections: one short request each. Worker only; the broker made the listener and never touches
//! what comes in.
//!
//! Everything about a connection is bounded: its head, its time, and how many there are at once. What waits beyond that
//! waits in the kernel's queue.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::drain::Drain;
use super::pages::Pages;
use crate::health::request::{self, Answer, MAX_HEAD, Request};
use crate::log::Log;
use crate::sys::{listen, watch};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 16;
const MAX_CONNECTIONS_U32: u32 = 16;
/// Until the head of the request has come.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Until the connection ends.
const WHOLE_TIME: Duration = Duration::from_secs(10);
/// For those that are accepted already when the worker stops.
const LAST_TIME: Duration = Duration::from_millis(500);
/// What is read and thrown away after the answer, so that it is not lost with a reset.
const LEFTOVERS: usize = 16;
/// How long that may take.
const LEFTOVER_TIME: Duration = Duration::from_millis(500);
/// When no descriptor is left, or the like.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until another worker has taken over or this one has `ended`, then those that were accepted before.
pub async fn serve(
    listener: AsyncFd<OwnedFd>,
    pages: Pages,
    drain: Drain,
    mut ended: oneshot::Receiver<()>,
    log: Log,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            // Nobody closes it.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (accept(&listener, &log).await, slot)
        };
        let (connection, slot) = tokio::select! {
            next = next => next,
            () = drain.retired() => break,
            _ = &mut ended => break,
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            // Whoever is late, or breaks off, has got all that there is for it.
            let _ = timeout(WHOLE_TIME, exchange(connection, &pages)).await;
            drop(slot);
        });
    }
    // The next worker accepts from the same queue.
    drop(listener);
    let _ = timeout(LAST_TIME, slots.acquire_many(MAX_CONNECTIONS_U32)).await;
}

async fn accept(listener: &AsyncFd<OwnedFd>, log: &Log) -> OwnedFd {
    let mut said = false;
    loop {
        let Ok(mut ready) = listener.readable().await else {
            sleep(PAUSE).await;
            continue;
        };
        match listen::accept(listener.get_ref()) {
            Ok(connection) => return connection,
            Err(e) if e.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
            // It was broken off before we came to it.
            Err(e) if matches!(e.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(e) => {
                if !std::mem::replace(&mut said, true) {
                    let fields = [("error", e.to_string().into())];
                    log.warn("health", "a health request cannot be accepted", &fields);
                }
                sleep(PAUSE).await;
            }
        }
    }
}

async fn exchange(connection: OwnedFd, pages: &Pages) -> io::Result<()> {
    let connection = watch::watch(connection)?;
    let (answer, head_only) = match timeout(HEAD_TIME, head(&connection, pages)).await {
        Ok(Ok(Some(request))) => (pages.answer(request).await, request.head_only),
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(Refused::By((status, why)))) => (Answer::text(status, why), false),
        Ok(Err(Refused::Io(e))) => return Err(e),
        Err(_) => (Answer::text(408, "the request did not come in time"), false),
    };
    write(&connection, &answer.bytes(head_only)).await?;
    listen::end(connection.get_ref());
    // With unread bytes the kernel would reset the connection and the answer with it.
    let _ = timeout(LEFTOVER_TIME, leftovers(&connection)).await;
    Ok(())
}

enum Refused {
    By(request::Refusal),
    Io(io::Error),
}

/// `None`: the peer has ended without a word.
async fn head(connection: &AsyncFd<OwnedFd>, pages: &Pages) -> Result<Option<Request>, Refused> {
    let mut bytes = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let got = read(connection, &mut chunk).await.map_err(Refused::Io)?;
        if got == 0 {
            return if bytes.is_empty() { Ok(None) } else { Err(Refused::By((400, "not an HTTP request"))) };
        }
        bytes.extend_from_slice(chunk.get(..got).unwrap_or_default());
        let whole = request::read(bytes.get(..MAX_HEAD).unwrap_or(&bytes), pages.rules());
        if let Some(request) = whole.map_err(Refused::By)? {
            return Ok(Some(request));
        }
    }
}

pub(super) async fn read(connection: &AsyncFd<OwnedFd>, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = connection.readable().await?;
        match listen::recv(connection.get_ref(), chunk) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

pub(super) async fn write(connection: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut ready = connection.writable().await?;
        match listen::send(connection.get_ref(), bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

async fn leftovers(connection: &AsyncFd<OwnedFd>) -> io::Result<()> {
    let mut chunk = [0; 1024];
    for _ in 0..LEFTOVERS {
        if read(connection, &mut chunk).await? == 0 {
            break;
        }
    }
    Ok(())
}
