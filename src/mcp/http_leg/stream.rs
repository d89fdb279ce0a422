//! An answer that comes as an event stream: notifications on the way, requests of the server in between, the
//! response at the end, and the stream taken up again where it broke. Worker only.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming as Body;
use tokio::sync::mpsc;

use super::resume::{Pace, Resumed};
use super::{Http, SESSION_ID, answer};
use crate::mcp::failure::{Failure, Kind};
use crate::mcp::jsonrpc::{self, Incoming};
use crate::mcp::sse::Parser;
use crate::mcp::{Call, Note};
use crate::net::{BodyReader, ReadFailure};

/// What all streams of one call share.
pub(super) struct Reading<'a> {
    pub(super) call: &'a Call,
    /// The head of the response to the POST, which every note carries.
    code: StatusCode,
    headers: HeaderMap,
    /// The session that the response to the POST opened, when the command names none.
    pub(super) session: Option<HeaderValue>,
    notes: Option<&'a mpsc::Sender<Note>>,
    /// The id to resume after; it carries over from stream to stream, until the server clears it.
    pub(super) last_id: Option<Bytes>,
    pub(super) pace: Pace,
}

/// How one stream ended.
enum Ended {
    /// With the answer to pass on.
    Answer(Bytes),
    /// With something that no resumption mends.
    Failed(Failure),
    /// Too early; the failure holds when it is not resumed.
    Early(Failure),
}

impl Http {
    /// Reads the stream until the response to `call`, resuming it as often as that makes sense. Dropping the
    /// returned future closes the stream.
    pub(super) async fn follow(
        &self,
        call: &Call,
        response: Response<Body>,
        notes: &mpsc::Sender<Note>,
    ) -> Result<Bytes, Failure> {
        let session = response.headers().get(SESSION_ID).filter(|_| !call.headers.contains_key(SESSION_ID));
        let mut reading = Reading {
            call,
            code: response.status(),
            headers: response.headers().clone(),
            session: session.cloned(),
            notes: Some(notes),
            last_id: None,
            pace: Pace::default(),
        };
        let mut response = response;
        loop {
            let failure = match self.read_stream(&mut reading, response).await {
                Ended::Answer(body) => return Ok(body),
                Ended::Failed(failure) => return Err(failure),
                Ended::Early(failure) => failure,
            };
            // The stateless era has no resumption: the request is lost with its stream.
            if call.message.is_self_contained() {
                return Err(failure);
            }
            response = match self.resume(&mut reading, failure).await {
                Resumed::Stream(response) => response,
                Resumed::Failed(failure) => return Err(failure),
            };
        }
    }

    async fn read_stream(&self, reading: &mut Reading<'_>, response: Response<Body>) -> Ended {
        let mut parser = Parser::new(self.answer_bytes, reading.last_id.clone());
        let (_, mut body) = BodyReader::new(response);
        loop {
            let ended = match body.next().await {
                Ok(Some(chunk)) => {
                    parser.push(chunk);
                    self.drain(reading, &mut parser).await
                }
                Ok(None) => Some(self.finish(reading, &mut parser).await),
                Err(why @ (ReadFailure::BadEncoding | ReadFailure::TooLarge)) => {
                    Some(Ended::Failed(Failure::from_read(why)))
                }
                Err(why) => Some(Ended::Early(Failure::from_read(why))),
            };
            if let Some(retry) = parser.retry() {
                reading.pace.server_says(retry);
            }
            match ended {
                None => {}
                Some(ended @ Ended::Answer(_)) => {
                    self.leftovers.take(body);
                    return ended;
                }
                Some(ended) => return ended,
            }
        }
    }

    /// Handles every event that is complete.
    async fn drain(&self, reading: &mut Reading<'_>, parser: &mut Parser) -> Option<Ended> {
        loop {
            let event = parser.event();
            if parser.last_id() != reading.last_id.as_ref() {
                reading.last_id = parser.last_id().cloned();
                reading.pace.progress();
            }
            match event {
                Ok(None) => return None,
                Ok(Some(data)) => {
                    reading.pace.progress();
                    match self.event(reading, data).await {
                        Ok(None) => {}
                        Ok(Some(body)) => return Some(Ended::Answer(body)),
                        Err(kind) => return Some(Ended::Failed(Failure::protocol(kind))),
                    }
                }
                Err(_) => return Some(Ended::Failed(Failure::protocol(Kind::ResponseBodyTooLarge))),
            }
        }
    }

    /// The stream ended in good order. A last event without its blank line counts if it is whole.
    async fn finish(&self, reading: &mut Reading<'_>, parser: &mut Parser) -> Ended {
        if let Some(data) = parser.finish()
            && jsonrpc::incoming(&data).is_ok()
        {
            match self.event(reading, data).await {
                Ok(None) => {}
                Ok(Some(body)) => return Ended::Answer(body),
                Err(kind) => return Ended::Failed(Failure::protocol(kind)),
            }
        }
        Ended::Early(Failure::closed(Kind::Eof))
    }

    /// Takes one message of the server; returns the answer when it is the response to the call.
    async fn event(&self, reading: &mut Reading<'_>, data: Bytes) -> Result<Option<Bytes>, Kind> {
        match answer::read(&data)? {
            Incoming::Notification(_) => {
                reading.pass_on(data).await;
                Ok(None)
            }
            Incoming::Request(request) => {
                self.reply(reading, &request);
                Ok(None)
            }
            Incoming::Response(response) => {
                answer::own(&response, reading.call.message.id().unwrap_or_default()).map(Some)
            }
        }
    }
}

impl Reading<'_> {
    /// Waits for room: a slow reader slows the server, and nothing piles up here. Once nobody wants notes, the
    /// stream is read on for the answer alone.
    async fn pass_on(&mut self, body: Bytes) {
        let note = Note { code: self.code.as_u16(), headers: self.headers.clone(), body };
        if let Some(notes) = self.notes
            && notes.send(note).await.is_err()
        {
            self.notes = None;
        }
    }
}
