//! What a lab server answers: an exact [`Reply`] made of [`Part`]s, and the response [`Body`] that plays it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::Sleep;

use super::line::Line;

/// How long bytes already given to the connection get to leave before it is cut.
const FLUSH: Duration = Duration::from_millis(25);

/// One step of a scripted body.
#[derive(Clone, Debug)]
pub enum Part {
    /// Sends these bytes.
    Data(Bytes),
    /// Sends these bytes so many times; `usize::MAX` is endless.
    Repeat(Bytes, usize),
    /// Sends nothing for this long.
    Wait(Duration),
    /// Closes the connection (FIN) after what came before has left.
    Cut,
    /// Resets the connection (RST) after what came before has left.
    Reset,
    /// Breaks the body off: RST_STREAM on HTTP/2, on HTTP/1.1 the end of the connection.
    Fail,
    /// Sends nothing for ever.
    Hang,
}

/// An exact answer: status, headers in order, and a scripted body.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Header lines in order; repeated names stay repeated.
    pub headers: Vec<(String, String)>,
    /// The body. Without a `Content-Length` in `headers` a body of more than one part is sent chunked.
    pub parts: Vec<Part>,
    /// Waits this long before the head.
    pub delay: Duration,
    /// Closes (`Part::Cut`) or resets (`Part::Reset`) the connection, or hangs, instead of sending a head.
    pub instead: Option<Part>,
}

impl Reply {
    /// An answer with this status and no body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), parts: Vec::new(), delay: Duration::ZERO, instead: None }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::status(status).header("Content-Type", "application/json").data(body.into())
    }

    /// A 200 `text/event-stream` answer; append events with [`Reply::event`] or [`Reply::data`].
    pub fn sse() -> Self {
        Self::status(200).header("Content-Type", "text/event-stream")
    }

    /// Closes the connection without a head.
    pub fn cut() -> Self {
        Self { instead: Some(Part::Cut), ..Self::status(200) }
    }

    /// Resets the connection without a head.
    pub fn reset() -> Self {
        Self { instead: Some(Part::Reset), ..Self::status(200) }
    }

    /// Never answers; the connection stays open.
    pub fn hang() -> Self {
        Self { instead: Some(Part::Hang), ..Self::status(200) }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Appends bytes to the body.
    #[must_use]
    pub fn data(mut self, bytes: impl Into<Bytes>) -> Self {
        self.parts.push(Part::Data(bytes.into()));
        self
    }

    /// Appends one server-sent event whose data is `json`.
    #[must_use]
    pub fn event(self, json: &str) -> Self {
        self.data(format!("data: {json}\n\n"))
    }

    /// Appends a step.
    #[must_use]
    pub fn then(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Appends a pause.
    #[must_use]
    pub fn wait(self, time: Duration) -> Self {
        self.then(Part::Wait(time))
    }

    /// Waits before the head.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Plays the answer on `line`; `None` means that the connection was told to end without a head.
    pub async fn play(self, line: &Line) -> Option<Response<Body>> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.instead {
            Some(Part::Hang) => std::future::pending().await,
            Some(end) => {
                line.cut(matches!(end, Part::Reset));
                return None;
            }
            None => {}
        }
        let mut response = Response::new(Body::parts(self.parts, line.clone()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().append(name, HeaderValue::from_str(&value).unwrap());
        }
        Some(response)
    }
}

/// A response body of the lab.
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Parts { parts: VecDeque<Part>, sleep: Option<Pin<Box<Sleep>>>, line: Line },
    Channel(mpsc::Receiver<Bytes>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Full(None))
    }

    /// One piece, with its length announced.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(Some(bytes.into()).filter(|b: &Bytes| !b.is_empty())))
    }

    /// Played step by step on `line`.
    pub fn parts(parts: Vec<Part>, line: Line) -> Self {
        match parts.as_slice() {
            [] => Self::empty(),
            [Part::Data(bytes)] => Self::full(bytes.clone()),
            _ => Self(Kind::Parts { parts: parts.into(), sleep: None, line }),
        }
    }

    /// Whatever arrives on the channel, until it closes.
    pub fn channel(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self(Kind::Channel(receiver))
    }

    /// The bytes, when the body is in one piece.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Kind::Full(bytes) => bytes.unwrap_or_default(),
            Kind::Parts { parts, .. } => {
                let mut all = Vec::new();
                for part in parts {
                    if let Part::Data(bytes) = part {
                        all.extend_from_slice(&bytes);
                    }
                }
                all.into()
            }
            Kind::Channel(_) => Bytes::new(),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let (parts, sleep, line) = match &mut self.0 {
            Kind::Full(bytes) => return Poll::Ready(bytes.take().map(|b| Ok(Frame::data(b)))),
            Kind::Channel(receiver) => return receiver.poll_recv(cx).map(|b| b.map(|b| Ok(Frame::data(b)))),
            Kind::Parts { parts, sleep, line } => (parts, sleep, line),
        };
        loop {
            if let Some(timer) = sleep {
                std::task::ready!(timer.as_mut().poll(cx));
                *sleep = None;
                if let Some(Part::Fail) = parts.front() {
                    return Poll::Ready(Some(Err(io::Error::other("told to fail"))));
                }
                if let Some(end @ (Part::Cut | Part::Reset)) = parts.front() {
                    line.cut(matches!(end, Part::Reset));
                    return Poll::Pending;
                }
            }
            match parts.pop_front() {
                None => return Poll::Ready(None),
                Some(Part::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Part::Repeat(_, 0)) => {}
                Some(Part::Repeat(bytes, times)) => {
                    parts.push_front(Part::Repeat(bytes.clone(), times - 1));
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Part::Wait(time)) => *sleep = Some(Box::pin(tokio::time::sleep(time))),
                Some(Part::Hang) => {
                    parts.push_front(Part::Hang);
                    return Poll::Pending;
                }
                Some(end) => {
                    parts.push_front(end);
                    *sleep = Some(Box::pin(tokio::time::sleep(FLUSH)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64)),
            _ => SizeHint::default(),
        }
    }
}
