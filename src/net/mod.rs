//! The one HTTP client: connects (through a proxy where there is one), speaks TLS, sends one request, hands back the
//! response. Worker only.
//!
//! Never follows a redirect, and never repeats a request that the peer may have begun to act upon.

mod address;
mod body;
mod client;
mod clock;
mod connect;
mod dial;
mod error;
mod gunzip;
mod refusal;
mod sockets;
mod stream;
#[cfg(test)]
mod test_peer;
mod tunnel;
mod way;

pub use body::{BodyReader, ReadError, ReadFailure, read_body, read_body_until};
pub use client::{Client, Options};
pub use connect::handshake;
pub use error::{Cause, Error, Phase};
pub use sockets::{Sockets, Wanted};
pub use way::{Proxy, Way, check};
