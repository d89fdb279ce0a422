//! Reading response bodies: decoded, bounded, and keeping what there was of one that broke. Worker only.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::response::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::gunzip::{Gunzip, Step};
use super::{Cause, error};

/// What is set aside at once for a body that announces its length; the rest must first arrive.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// Why a body could not be read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFailure {
    /// Larger than the bound, after inflation.
    TooLarge,
    /// It ended before its announced length, or before the end of its compression.
    UnexpectedEof,
    /// The connection failed.
    Unreadable(Cause),
    /// An encoding that was not asked for, or broken compression.
    BadEncoding,
}

impl std::fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the body is larger than allowed",
            Self::UnexpectedEof => "the body ended too early",
            Self::Unreadable(Cause::Timeout) => "the body did not arrive in time",
            Self::Unreadable(_) => "the connection failed inside the body",
            Self::BadEncoding => "the body has an unknown or broken content encoding",
        })
    }
}

impl std::error::Error for ReadFailure {}

/// A body that could not be read whole, with what there was of it.
#[derive(Debug)]
pub struct ReadError {
    /// Status and headers.
    pub parts: Parts,
    /// What was read (and inflated) before the failure; at most the bound.
    pub partial: Bytes,
    /// Why it stopped.
    pub why: ReadFailure,
}

/// Reads a response body of at most `max` bytes; `gzip` and `x-gzip` content encodings are inflated, within the
/// same bound. The headers `Content-Encoding` and `Content-Length` of an inflated body are removed.
///
/// # Errors
/// When it could not be read whole.
pub async fn read_body(response: http::Response<Incoming>, max: usize) -> Result<(Parts, Bytes), ReadError> {
    read_body_until(response, max, None).await
}

/// The same with a deadline, after which what has arrived is returned as the `partial` of
/// `Unreadable(Cause::Timeout)`.
///
/// # Errors
/// When it could not be read whole.
pub async fn read_body_until(
    response: http::Response<Incoming>,
    max: usize,
    deadline: Option<Instant>,
) -> Result<(Parts, Bytes), ReadError> {
    let (parts, mut reader) = BodyReader::new(response);
    let mut whole = Whole::new(max, &reader);
    let read = async {
        while let Some(chunk) = reader.next().await? {
            whole.add(chunk)?;
        }
        Ok(())
    };
    let read = match deadline {
        None => read.await,
        Some(deadline) => {
            timeout_at(deadline, read).await.unwrap_or(Err(ReadFailure::Unreadable(Cause::Timeout)))
        }
    };
    let body = whole.finish();
    match read {
        Ok(()) => Ok((parts, body)),
        Err(why) => Err(ReadError { parts, partial: body, why }),
    }
}

/// Collects chunks up to a bound; a body of one chunk is not copied.
struct Whole {
    only: Bytes,
    joined: BytesMut,
    expected: usize,
    max: usize,
}

impl Whole {
    fn new(max: usize, reader: &BodyReader) -> Self {
        let announced = reader.body.size_hint().lower().min(FIRST_ALLOCATION);
        let expected = usize::try_from(announced).unwrap_or(0).min(max);
        Self { only: Bytes::new(), joined: BytesMut::new(), expected, max }
    }

    fn add(&mut self, mut chunk: Bytes) -> Result<(), ReadFailure> {
        let room = self.max.saturating_sub(self.only.len()).saturating_sub(self.joined.len());
        let fits = chunk.len() <= room;
        chunk.truncate(room);
        if self.only.is_empty() && self.joined.is_empty() {
            self.only = chunk;
        } else {
            if self.joined.is_empty() {
                self.joined.reserve(self.expected.max(self.only.len().saturating_add(chunk.len())));
                self.joined.extend_from_slice(&std::mem::take(&mut self.only));
            }
            self.joined.extend_from_slice(&chunk);
        }
        if fits { Ok(()) } else { Err(ReadFailure::TooLarge) }
    }

    fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.only } else { self.joined.freeze() }
    }
}

/// A response body, read and decoded chunk by chunk; the whole has no bound, a chunk is at most 64 KiB when it was
/// inflated and at most what the connection reads at a time when it was not.
pub struct BodyReader {
    body: Incoming,
    coding: Coding,
}

enum Coding {
    Identity,
    Gzip { gunzip: Box<Gunzip>, input: Bytes },
    Unknown,
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader").finish_non_exhaustive()
    }
}

impl BodyReader {
    /// Takes the body of a response apart from its head. An encoding that cannot be decoded is reported by the
    /// first [`Self::next`].
    #[must_use]
    pub fn new(response: http::Response<Incoming>) -> (Parts, Self) {
        let (mut parts, body) = response.into_parts();
        let coding = Coding::of(&parts.headers);
        if matches!(coding, Coding::Gzip { .. }) {
            // They describe what was sent, not what is handed on.
            parts.headers.remove(CONTENT_ENCODING);
            parts.headers.remove(CONTENT_LENGTH);
        }
        (parts, Self { body, coding })
    }

    /// The next bytes of the body, never empty; `None` at its proper end. Can be given up at any point and called
    /// again without loss. Not to be called again after an error.
    ///
    /// # Errors
    /// Any [`ReadFailure`] but `TooLarge`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadFailure> {
        loop {
            match &mut self.coding {
                Coding::Unknown => return Err(ReadFailure::BadEncoding),
                Coding::Identity => return raw(&mut self.body).await,
                Coding::Gzip { gunzip, input } => {
                    // One read from the network can become thousands of chunks without ever waiting.
                    tokio::task::coop::consume_budget().await;
                    match gunzip.step(input).map_err(|_| ReadFailure::BadEncoding)? {
                        Step::Data(data) => return Ok(Some(data)),
                        Step::Hungry => match raw(&mut self.body).await? {
                            Some(data) => *input = data,
                            None if gunzip.may_end() => return Ok(None),
                            None => return Err(ReadFailure::UnexpectedEof),
                        },
                    }
                }
            }
        }
    }
}

/// The next bytes as they came. Trailers are passed over.
async fn raw(body: &mut Incoming) -> Result<Option<Bytes>, ReadFailure> {
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
            Ok(_) => {}
            Err(error) => return Err(error::of_body(&error)),
        }
    }
    Ok(None)
}

impl Coding {
    /// Reads every `Content-Encoding` (RFC 9110 section 8.4); more than one coding is nothing that was asked for.
    fn of(headers: &HeaderMap) -> Self {
        let mut gzip = false;
        for value in headers.get_all(CONTENT_ENCODING) {
            let Ok(text) = value.to_str() else { return Self::Unknown };
            for name in text.split(',').map(str::trim) {
                if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                    continue;
                }
                let known = name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip");
                if !known || gzip {
                    return Self::Unknown;
                }
                gzip = true;
            }
        }
        match gzip {
            true => Self::Gzip { gunzip: Box::new(Gunzip::new()), input: Bytes::new() },
            false => Self::Identity,
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
