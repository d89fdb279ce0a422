//! Taking up a broken event stream: a GET with `Last-Event-ID` (MCP 2025-11-25, *Resumability and redelivery*).
//! Worker only. Must never ask faster than [`MIN_WAIT`], nor more than [`MAX_TRIES`] times in vain.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio::time::sleep;

use super::stream::Reading;
use super::{COMPONENT, Http, Media, SESSION_ID, media};
use crate::mcp::failure::{Failure, Kind};

/// Tries without a new event or id before the call is given up.
const MAX_TRIES: u32 = 5;
/// The first wait when the server names none; it grows by half each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait, also for what the server asks.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// The shortest wait, also for what the server asks.
const MIN_WAIT: Duration = Duration::from_millis(100);

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often and how fast to try.
#[derive(Debug, Default)]
pub(super) struct Pace {
    tries: u32,
    asked: Option<Duration>,
}

impl Pace {
    /// The server named a waiting time.
    pub(super) fn server_says(&mut self, wait: Duration) {
        self.asked = Some(wait.clamp(MIN_WAIT, MAX_WAIT));
    }

    /// Something new came: the tries count anew.
    pub(super) fn progress(&mut self) {
        self.tries = 0;
    }

    /// The wait before the next try, `None` when there were enough. `chance` is any number; it spreads the waits
    /// that the agent chooses over once to twice their length.
    fn next(&mut self, chance: u64) -> Option<Duration> {
        if self.tries == MAX_TRIES {
            return None;
        }
        self.tries += 1;
        if let Some(asked) = self.asked {
            return Some(asked);
        }
        let mut wait = FIRST_WAIT;
        for _ in 1..self.tries {
            wait = (wait + wait / 2).min(MAX_WAIT);
        }
        let spread = u64::try_from(wait.as_millis()).unwrap_or(0).max(1);
        Some((wait + Duration::from_millis(chance % spread)).min(MAX_WAIT))
    }
}

/// What came of it.
pub(super) enum Resumed {
    /// The stream goes on here.
    Stream(Response<Incoming>),
    /// It does not.
    Failed(Failure),
}

impl Http {
    /// Tries until the server takes the stream up or refuses to. `failure` says how it ended; it holds when there is
    /// no id to resume after.
    pub(super) async fn resume(&self, reading: &mut Reading<'_>, failure: Failure) -> Resumed {
        let Some(last_id) = reading.last_id.as_ref().and_then(|id| HeaderValue::from_bytes(id).ok()) else {
            return Resumed::Failed(failure);
        };
        while let Some(wait) = reading.pace.next(RandomState::new().hash_one(0)) {
            sleep(wait).await;
            match self.client.send(self.resumption(reading, last_id.clone())).await {
                Ok(response) if takes_up(&response) => return Resumed::Stream(response),
                Ok(response) => {
                    let status = response.status().as_u16().into();
                    self.log.debug(
                        COMPONENT,
                        "the MCP server does not resume the stream",
                        &[("status", status)],
                    );
                    break;
                }
                Err(error) => {
                    self.unanswered(&error);
                }
            }
        }
        // Whatever a refusal says, it answers the GET and not the call: that one lost its stream.
        Resumed::Failed(Failure::closed(Kind::Eof))
    }

    fn resumption(&self, reading: &Reading<'_>, last_id: HeaderValue) -> Request<Bytes> {
        let mut request =
            self.build(Method::GET, &[(ACCEPT, EVENT_STREAM)], &reading.call.headers, Bytes::new());
        if let Some(session) = &reading.session {
            request.headers_mut().insert(SESSION_ID, session.clone());
        }
        request.headers_mut().insert(LAST_EVENT_ID, last_id);
        request
    }
}

fn takes_up(response: &Response<Incoming>) -> bool {
    response.status().is_success() && media(response.headers()) == Media::Stream
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
