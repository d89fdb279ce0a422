//! Why a peer closed a TLS connection, when it said so before. Worker only.
//!
//! With TLS 1.3 a peer looks at our certificate after our side of the handshake is done: it sends an alert and closes while
//! we are writing the request. The write then fails first, and says nothing; the alert waits unread. And what the
//! connection learns, the HTTP library does not tell the request.

use std::io::{self, ErrorKind, Read};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use rustix::net::{RecvFlags, recv};
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::stream::Stream;
use crate::tls;

/// The last TLS error of the connections of one client. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Note(Arc<Mutex<Option<(Instant, String)>>>);

impl Note {
    /// What TLS failed with since `start`.
    pub(super) fn since(&self, start: Instant) -> Option<String> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.as_ref().filter(|(at, _)| *at >= start).map(|(_, reason)| reason.clone())
    }

    /// Passes on what became of reading from or writing to the connection.
    pub(super) fn pass<T>(
        &self,
        done: Poll<io::Result<T>>,
        stream: &mut TlsStream<Stream>,
    ) -> Poll<io::Result<T>> {
        done.map_err(|error| {
            let error = behind(error, stream);
            if let Some(tls) = tls::find(&error) {
                let noted = Some((Instant::now(), tls::reason(tls)));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = noted;
            }
            error
        })
    }
}

/// The alert that waits behind a failure, or the failure itself. Takes no plain text: what the peer answered before it
/// closed can still be read.
fn behind(error: io::Error, stream: &mut TlsStream<Stream>) -> io::Error {
    if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) {
        return error;
    }
    let (below, session) = stream.get_mut();
    let Some(socket) = below.socket() else { return error };
    // A failure to read is no better explanation than the one that is there.
    let _ = session.read_tls(&mut Waiting(socket));
    match session.process_new_packets() {
        Err(tls) => io::Error::new(ErrorKind::InvalidData, tls),
        Ok(_) => error,
    }
}

/// What waits in the socket. The runtime may not have noticed it yet, so it is not asked.
struct Waiting<'a>(BorrowedFd<'a>);

impl Read for Waiting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (read, _) = recv(self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(read)
    }
}
