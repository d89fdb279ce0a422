//! The end of a connection: told from anywhere, by FIN, by RST, or politely.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Cuts the connection it belongs to.
#[derive(Clone, Debug, Default)]
pub struct Line(Arc<Ends>);

#[derive(Debug, Default)]
struct Ends {
    now: Notify,
    reset: AtomicBool,
    retire: Notify,
}

impl Line {
    /// Ends the connection now: with RST when `reset`, otherwise with FIN. Bytes not yet sent are lost.
    pub fn cut(&self, reset: bool) {
        self.0.reset.store(reset, Ordering::Relaxed);
        self.0.now.notify_one();
    }

    /// Resolves when the connection must end at once.
    pub async fn told_to_end(&self) {
        self.0.now.notified().await;
    }

    /// Resolves when the connection should end politely.
    pub async fn told_to_retire(&self) {
        self.0.retire.notified().await;
    }

    /// Ends the connection politely: GOAWAY, or `Connection: close` with the next answer.
    pub fn retire(&self) {
        self.0.retire.notify_one();
    }
}

/// A TCP stream that is reset instead of closed when its line says so.
pub struct Plug {
    stream: TcpStream,
    line: Line,
}

impl Plug {
    /// A stream that belongs to `line`.
    pub fn new(stream: TcpStream, line: Line) -> Self {
        Self { stream, line }
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        if self.line.0.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Plug {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plug {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
