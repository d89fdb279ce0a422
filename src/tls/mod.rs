//! Whom the worker believes, and how it proves itself: the client side of TLS. Runs in the worker; the broker checks
//! with it, before anything is started, that anchors, certificates and keys can be used.
//!
//! Opens no file and no socket: anchors come in as text, connections are made by `net`.

mod client;
mod failure;
mod identity;
mod look;
mod pin;
mod roots;
mod x509;

pub use client::{Trust, client_config};
pub use failure::{find, is_about_time, is_pin, reason};
pub use identity::{Unusable, days_left, own_certificates};
pub use look::{Link, Look, Sight};
pub use pin::NotPinned;

/// Why no client configuration could be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is not well-formed PEM.
    Pem,
    /// The text contains no certificate.
    NoCertificate,
    /// A certificate in the text cannot serve as a trust anchor.
    Certificate {
        /// Its place among the certificates of the text, counted from 1.
        number: usize,
    },
    /// Nobody would be believed.
    NoAnchor,
    /// Our own certificate is of no use.
    Identity(Unusable),
    /// The cryptographic provider supports none of the protocol versions; a broken build.
    Provider,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pem => f.write_str("the text is not well-formed PEM"),
            Self::NoCertificate => f.write_str("the text contains no certificate"),
            Self::Certificate { number } => {
                write!(f, "certificate number {number} cannot be used as a trust anchor")
            }
            Self::NoAnchor => f.write_str("there is no trust anchor"),
            Self::Identity(unusable) => unusable.fmt(f),
            Self::Provider => f.write_str("the cryptographic provider supports neither TLS 1.3 nor TLS 1.2"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Unusable> for Error {
    fn from(unusable: Unusable) -> Self {
        Self::Identity(unusable)
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
