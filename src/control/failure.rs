//! A request to the control plane that did not succeed, for whatever reason. Pure.

use std::fmt;
use std::time::Duration;

use super::api_error::ApiError;
use crate::log::Value;
use crate::net;

/// A request that did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Its deadline passed; it may have had an effect.
    Timeout,
    /// It got no response.
    Transport(net::Error),
    /// It got an unexpected one.
    Status(Box<ApiError>),
    /// The body of the response could not be read or understood.
    Body(&'static str),
    /// It could not be built.
    Request,
}

impl Failure {
    /// The request id of the response, if there was one.
    #[must_use]
    pub fn tunnel_request_id(&self) -> Option<&str> {
        match self {
            Self::Status(e) => e.tunnel_request_id.as_deref(),
            _ => None,
        }
    }

    /// The wait that the response asks for, if there was one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(e) => e.retry_after,
            _ => None,
        }
    }

    /// Whether the peer is not the control plane that the operator pinned.
    #[must_use]
    pub fn is_pin(&self) -> bool {
        matches!(self, Self::Transport(e) if e.cause == net::Cause::Pin)
    }

    /// What a log line says about it.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Value<'_>)> {
        let mut fields = vec![("error", Value::show(self))];
        if let Failure::Status(e) = self {
            fields.push(("status_code", e.status.as_u16().into()));
            fields.push(("status", Value::show(&e.status)));
            fields.extend(e.code.as_deref().map(|code| ("error_code", code.into())));
            if !e.message.is_empty() {
                fields.push(("error_message", e.message.as_str().into()));
            }
            fields.extend(e.mitigation.map(|text| ("mitigation", text.into())));
        }
        fields
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("deadline passed"),
            Self::Transport(_) if self.is_pin() => {
                f.write_str("the control plane's key is not one of the pinned ones")
            }
            Self::Transport(e) => e.fmt(f),
            Self::Status(e) => e.fmt(f),
            Self::Body(why) => f.write_str(why),
            Self::Request => f.write_str("request is not legal HTTP"),
        }
    }
}

impl std::error::Error for Failure {}
