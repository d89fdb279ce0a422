//! Faults: what the control plane does wrong on purpose, and for how many requests.
//!
//! A [`Fault`] either answers instead of the lab (`status`, `body`, `redirect`, `gzip_bomb`, `hang`, a cut before the head,
//! or an exact [`Reply`]) or spoils the lab's own answer (delay, drip, cut in the body, truncation, gzip, duplicates).
//! With `process: true` the request takes effect even though its answer is replaced, as when an answer is lost.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;

use super::body::{Body, Part, Reply};
use super::line::Line;

/// The body of a fault that names a status and no body.
const FAULT_BODY: &str =
    r#"{"error":{"message":"a fault of the lab","type":"lab","code":"lab_fault","param":null}}"#;

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// Polls.
    #[default]
    Poll,
    /// Response POSTs.
    Response,
    /// Metadata fetches.
    Metadata,
    /// All three.
    Any,
}

/// A body sent a few bytes at a time.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Drip {
    /// Bytes at a time.
    pub bytes: usize,
    /// Milliseconds between them.
    pub every_ms: u64,
}

/// One fault. Over `POST /lab/faults` it is a JSON object with these members.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    pub on: On,
    /// For how many of them; 0 means 1.
    pub times: usize,
    /// How many to let pass first.
    pub skip: usize,
    /// The status.
    pub status: Option<u16>,
    /// More headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// The value of `Retry-After`; needs `status`.
    pub retry_after: Option<String>,
    /// Redirect to this URL; the status is 307 unless `status` says otherwise.
    pub redirect: Option<String>,
    /// Wait this long, before anything else.
    pub delay_ms: u64,
    /// Send the body slowly.
    pub drip: Option<Drip>,
    /// Cut the connection after this many bytes of the body.
    pub cut_after: Option<usize>,
    /// Cut the connection before the head.
    pub cut: bool,
    /// Cuts are resets (RST).
    pub reset: bool,
    /// Never answer.
    pub hang: bool,
    /// End the body after this many bytes, as if that were all of it.
    pub truncate: Option<usize>,
    /// Compress the body.
    pub gzip: bool,
    /// A compressed body of spaces that inflates to this many bytes.
    pub gzip_bomb: Option<u64>,
    /// Claim this length, whatever the body's is.
    pub content_length: Option<u64>,
    /// Put every command into the poll's body twice.
    pub duplicate: bool,
    /// Deliver the same commands again with the next poll.
    pub redeliver: bool,
    /// Let the request take effect although its answer is replaced. Default: only when the answer is merely spoilt.
    pub process: Option<bool>,
    /// An exact answer (library only).
    #[serde(skip)]
    pub reply: Option<Reply>,
}

impl Fault {
    /// A fault for one request of this kind.
    pub fn on(on: On) -> Self {
        Self { on, times: 1, ..Self::default() }
    }

    /// Another status, with an error body, for `times` requests.
    pub fn status(on: On, status: u16, times: usize) -> Self {
        Self { status: Some(status), times, ..Self::on(on) }
    }

    /// An exact answer to one request.
    pub fn reply(on: On, reply: Reply) -> Self {
        Self { reply: Some(reply), ..Self::on(on) }
    }

    /// Whether the request takes effect.
    pub fn processes(&self) -> bool {
        let replaces = self.reply.is_some()
            || self.status.is_some()
            || self.body.is_some()
            || self.redirect.is_some()
            || self.gzip_bomb.is_some()
            || self.cut
            || self.hang;
        self.process.unwrap_or(!replaces)
    }

    /// Waits out the delay.
    pub async fn delay(&self) {
        if self.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.delay_ms)).await;
        }
    }

    /// Turns the lab's own answer (empty, when the request was not processed) into the faulty one.
    pub async fn spoil(self, normal: Option<Response<Body>>, line: &Line) -> Option<Response<Body>> {
        if let Some(reply) = self.reply {
            return reply.play(line).await;
        }
        if self.hang {
            return std::future::pending().await;
        }
        if self.cut {
            line.cut(self.reset);
            return None;
        }
        let (mut head, body) = normal.unwrap_or_else(|| Response::new(Body::empty())).into_parts();
        let mut body = body.into_bytes();
        if let Some(status) = self.status.or(self.redirect.as_ref().map(|_| 307)) {
            head.status = StatusCode::from_u16(status).unwrap();
            body = FAULT_BODY.into();
        }
        let mut set = |name: &str, value: &str| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.headers.append(name, HeaderValue::from_str(value).unwrap());
        };
        if let Some(text) = self.body {
            body = text.into();
        }
        if let Some(size) = self.gzip_bomb {
            body = bomb(size);
            set("content-encoding", "gzip");
        } else if self.gzip {
            body = gzip(&body);
            set("content-encoding", "gzip");
        }
        for (name, value) in &self.headers {
            set(name, value);
        }
        if let Some(value) = &self.retry_after {
            set("retry-after", value);
        }
        if let Some(url) = &self.redirect {
            set("location", url);
        }
        if let Some(length) = self.content_length {
            set("content-length", &length.to_string());
        } else if let Some(after) = self.cut_after {
            // A cut body must look cut: the length that was promised is the whole one.
            set("content-length", &body.len().max(after + 1).to_string());
        }
        head.headers.entry("content-type").or_insert(HeaderValue::from_static("application/json"));
        if let Some(keep) = self.truncate {
            body.truncate(keep);
        }
        let mut parts = match self.drip {
            Some(drip) => drops(&body, drip),
            None => vec![Part::Data(body.clone())],
        };
        if let Some(after) = self.cut_after {
            parts = vec![Part::Data(body.slice(..after.min(body.len())))];
            parts.push(if self.reset { Part::Reset } else { Part::Cut });
        } else if self.content_length.is_some() {
            // Keeps the length of the body unknown, so that the claimed one is sent.
            parts.push(Part::Wait(Duration::ZERO));
        }
        Some(Response::from_parts(head, Body::parts(parts, line.clone())))
    }
}

fn drops(body: &Bytes, drip: Drip) -> Vec<Part> {
    let mut parts = Vec::new();
    for piece in body.chunks(drip.bytes.max(1)) {
        parts.push(Part::Data(body.slice_ref(piece)));
        parts.push(Part::Wait(Duration::from_millis(drip.every_ms)));
    }
    parts
}

/// Compresses as `Content-Encoding: gzip`.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().into()
}

/// A single gzip member that inflates to `size` spaces, rounded up to a whole MiB; made without compressing them all.
pub fn bomb(size: u64) -> Bytes {
    const BLOCK: usize = 1 << 20;
    let block = vec![b' '; BLOCK];
    let mut deflated = Vec::with_capacity(1 << 14);
    let mut compress = flate2::Compress::new(flate2::Compression::best(), false);
    // A full flush ends on a byte boundary and forgets the window: the piece can be repeated.
    compress.compress_vec(&block, &mut deflated, flate2::FlushCompress::Full).unwrap();
    let mut one = flate2::Crc::new();
    one.update(&block);
    let mut sum = flate2::Crc::new();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..size.div_ceil(BLOCK as u64) {
        out.extend_from_slice(&deflated);
        sum.combine(&one);
    }
    out.extend_from_slice(&[3, 0]);
    out.extend_from_slice(&sum.sum().to_le_bytes());
    out.extend_from_slice(&sum.amount().to_le_bytes());
    out.into()
}
