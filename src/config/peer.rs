//! How a TLS peer is told from an impostor, and how the agent proves itself to it: the checked settings.
//!
//! Built by `config::check` in the broker; the worker receives them with the rest. Pure: keys and certificates are
//! PEM texts here, and whether they can be used is for `tls` to say.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::base64;
use super::types::Kept;

/// Of a pin and of a fingerprint, in front of the base64.
const PREFIX: &str = "sha256/";

/// A SHA-256 digest: of a public key (a pin) or of a certificate (a fingerprint). Written as `sha256/<base64>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest that was computed.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `sha256/<base64>`: 43 characters and the padding, no bit left over. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let found = Self(base64::decode(text.strip_prefix(PREFIX)?)?);
        // One digest has one spelling: what is left of the last character must be zero.
        (found.to_string() == text).then_some(found)
    }

    /// Reads what [`Digest::parse`] takes, or 64 hex digits with or without colons between the bytes, as
    /// `openssl x509 -fingerprint -sha256` prints them.
    #[must_use]
    pub fn parse_fingerprint(text: &str) -> Option<Self> {
        if text.starts_with(PREFIX) {
            return Self::parse(text);
        }
        let mut bytes = [0; 32];
        let pairs: Vec<&str> = if text.contains(':') {
            text.split(':').collect()
        } else {
            (0..text.len()).step_by(2).map(|at| text.get(at..at.saturating_add(2))).collect::<Option<_>>()?
        };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let hex = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            *byte = hex.then(|| u8::from_str_radix(pair, 16).ok()).flatten()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", base64::encode(&self.0).as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "is not sha256/ and the base64 of 32 bytes".into())
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// The certificate that the agent presents, and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The settings it came from, for messages: `control_plane.client_cert`.
    pub name: String,
    /// PEM: the certificate, then those between it and the root.
    pub certificate: String,
    /// PEM: one private key.
    pub key: Kept,
    /// What the operator expects the certificate to be.
    pub fingerprint: Option<Digest>,
}

/// One peer: whom to believe, and as whom to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Presented to this peer only.
    pub identity: Option<Identity>,
    /// Of the keys in the verified path, one must be of these; none means any.
    pub pins: Vec<Digest>,
    /// Trust anchors for this peer alone, PEM, in addition to `ca_bundle`.
    pub ca_pem: Option<String>,
    /// Nothing but `ca_bundle` and `ca_pem`: the web roots are not believed.
    pub bundle_only: bool,
    /// The name that the certificate must carry, when it is not the host of the URL.
    pub server_name: Option<String>,
}

/// The oldest version of TLS that is spoken (`tls.min_version`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MinVersion {
    /// 1.3 only.
    #[default]
    Tls13,
    /// 1.2 too.
    Tls12,
}

/// Whether the post-quantum hybrid is offered (`tls.post_quantum`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostQuantum {
    /// First, and its share in the first flight.
    #[default]
    Prefer,
    /// Not at all: some middleboxes drop first messages of more than one packet.
    Off,
}

/// What holds for every TLS connection (`tls`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The oldest version.
    pub min_version: MinVersion,
    /// The key exchange.
    pub post_quantum: PostQuantum,
}

#[cfg(test)]
#[path = "peer_tests.rs"]
mod tests;
