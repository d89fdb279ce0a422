//! Delivers results to the control plane, trying again where that is safe and useful. Worker only.
//!
//! A terminal response may be posted twice without harm (the second finds its request gone), so it is tried until its
//! deadline. A notification may not: a connector would see the same progress twice.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep};

use super::backoff::{Backoff, Class};
use super::body::{self, Invalid};
use super::client::Client;
use super::failure::Failure;
use super::{COMPONENT, random};

pub use super::body::{RespType, Response};

/// How long a terminal response without a deadline is tried.
pub const MAX_TRYING: Duration = Duration::from_secs(300);

/// How long a notification without a deadline is tried. Nobody has use for progress that is older, and the terminal
/// answer of its call, which goes after it, would wait all that time.
pub const MAX_NOTIFYING: Duration = Duration::from_secs(30);

/// What became of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The control plane has it.
    Yes,
    /// The control plane knows no such request (any more).
    Gone,
    /// It could not be delivered; the reason is free of secrets and has been logged.
    No(String),
    /// The deadline passed before it could be delivered.
    Expired,
}

/// Posts responses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Responder {
    client: Client,
}

/// A response that is ready to be sent.
struct Parcel {
    body: Bytes,
    shard_token: HeaderValue,
    client_request_id: Option<HeaderValue>,
}

/// What is tried again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Terminal,
    Notify,
}

impl Responder {
    /// Posts over `client`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Delivers the last word on a command. Tries again, with full jitter and no sooner than `Retry-After` says, on
    /// transport errors, 408, 429, 500, 502, 503 and 504, until `deadline` or for [`MAX_TRYING`]. On 413 the body in
    /// [`Response::too_large`] takes the place of the payload, once.
    pub async fn terminal(&self, response: Response<'_>, deadline: Option<Instant>) -> Delivered {
        let mut response = response;
        let until = deadline.unwrap_or_else(|| Instant::now() + MAX_TRYING);
        let mut ended = self.deliver(&response, deadline, until, Rule::Terminal).await;
        if let (End::TooLarge(_), Some(small)) = (&ended, response.too_large.take()) {
            self.client.log().warn(
                COMPONENT,
                "response too large for the control plane; posting a failure in its place",
                &[("request_id", response.request_id.into())],
            );
            let json = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
            let instead = Response { code: 502, body: Some(&small), headers: &json, ..response };
            ended = self.deliver(&instead, deadline, until, Rule::Terminal).await;
        }
        match ended {
            End::Delivered(delivered) => delivered,
            End::TooLarge(reason) => Delivered::No(reason),
        }
    }

    /// Delivers a notification. Tries again only when it certainly was not taken: on 429, and on a transport error
    /// before any of it was sent; until `deadline` or for [`MAX_NOTIFYING`].
    pub async fn notify(&self, response: Response<'_>, deadline: Option<Instant>) -> Delivered {
        let until = deadline.unwrap_or_else(|| Instant::now() + MAX_NOTIFYING);
        match self.deliver(&response, deadline, until, Rule::Notify).await {
            End::Delivered(delivered) => delivered,
            End::TooLarge(reason) => Delivered::No(reason),
        }
    }

    async fn deliver(
        &self,
        response: &Response<'_>,
        deadline: Option<Instant>,
        until: Instant,
        rule: Rule,
    ) -> End {
        match pack(response) {
            Ok(parcel) => self.attempts(&parcel, response, deadline, until, rule).await,
            Err(invalid) => {
                let fields =
                    [("request_id", response.request_id.into()), ("error", invalid.to_string().into())];
                self.client.log().error(COMPONENT, "response cannot be posted", &fields);
                End::Delivered(Delivered::No(invalid.to_string()))
            }
        }
    }

    async fn attempts(
        &self,
        parcel: &Parcel,
        response: &Response<'_>,
        deadline: Option<Instant>,
        until: Instant,
        rule: Rule,
    ) -> End {
        let mut backoff = Backoff::default();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Parcel { body, shard_token, client_request_id } = parcel;
            let failure = if left.is_zero() {
                Failure::Timeout
            } else {
                match self.client.post(body.clone(), shard_token, client_request_id.as_ref(), left).await {
                    Ok(()) => return End::Delivered(Delivered::Yes),
                    Err(failure) => failure,
                }
            };
            if let Failure::Status(e) = &failure {
                match e.status.as_u16() {
                    404 => {
                        self.say(response, &failure, "response already fulfilled or unknown request");
                        return End::Delivered(Delivered::Gone);
                    }
                    413 => {
                        self.say(response, &failure, "response post failed");
                        return End::TooLarge(failure.to_string());
                    }
                    _ => {}
                }
            }
            let class = if failure.is_pin() { Class::Refused } else { Class::Ordinary };
            let wait = backoff.next(class, failure.retry_after(), random::up_to);
            let is_late = Instant::now() + wait >= until;
            let again = may_repeat(&failure, rule);
            if is_late && deadline.is_some() && (again || Instant::now() >= until) {
                return End::Delivered(Delivered::Expired);
            }
            if is_late || !again {
                self.say(response, &failure, "response post failed");
                return End::Delivered(Delivered::No(failure.to_string()));
            }
            self.say(response, &failure, "response post failed; trying again");
            sleep(wait).await;
        }
    }

    fn say(&self, response: &Response<'_>, failure: &Failure, message: &'static str) {
        let mut fields = failure.fields();
        fields.push(("request_id", response.request_id.into()));
        fields.push(("resp_type", response.resp_type.name().into()));
        fields
            .push(("tunnel_request_id", failure.tunnel_request_id().unwrap_or("missing_request_id").into()));
        self.client.log().warn(COMPONENT, message, &fields);
    }
}

enum End {
    Delivered(Delivered),
    TooLarge(String),
}

fn pack(response: &Response<'_>) -> Result<Parcel, Invalid> {
    let shard_token = match HeaderValue::from_bytes(response.shard_token.as_bytes()) {
        Ok(value) if !value.is_empty() => value,
        _ => return Err(Invalid::ShardToken),
    };
    // A diagnostic that is not a legal header value is not worth losing the answer.
    let client_request_id = response.client_request_id.and_then(|id| HeaderValue::from_str(id).ok());
    Ok(Parcel { body: body::write(response)?, shard_token, client_request_id })
}

const fn may_repeat(failure: &Failure, rule: Rule) -> bool {
    match (rule, failure) {
        (Rule::Terminal, Failure::Timeout | Failure::Transport(_)) => true,
        (Rule::Terminal, Failure::Status(e)) => {
            matches!(e.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
        }
        (Rule::Notify, Failure::Transport(e)) => !e.sent,
        (Rule::Notify, Failure::Status(e)) => e.status.as_u16() == 429,
        (Rule::Notify, Failure::Timeout) | (_, Failure::Body(_) | Failure::Request) => false,
    }
}

#[cfg(test)]
#[path = "respond_tests.rs"]
mod tests;
