//! Whom the worker believes, and how it proves it: the client side of TLS. Runs in the worker; the broker only
//! checks with it that a bundle of trust anchors can be read.
//!
//! Opens no file and no socket: anchors come in as text, connections are made by `net`.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

mod failure;
mod roots;

pub use failure::{find, reason};

/// Sessions kept for resumption, over all peers of one configuration.
const RESUMABLE_SESSIONS: usize = 64;

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
            Self::Provider => f.write_str("the cryptographic provider supports neither TLS 1.3 nor TLS 1.2"),
        }
    }
}

impl std::error::Error for Error {}

/// The configuration of a TLS client that trusts the built-in web roots and, in addition, every certificate of
/// `ca_pem`. TLS 1.3 and 1.2; no client certificate, no key log, no early data; ALPN is left empty, because what is
/// offered depends on the connection.
///
/// # Errors
/// When `ca_pem` is not PEM, contains no certificate, or one that cannot be a trust anchor.
pub fn client_config(ca_pem: Option<&str>) -> Result<Arc<rustls::ClientConfig>, Error> {
    let roots = roots::store(ca_pem)?;
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| Error::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(Arc::new(config))
}

/// aws-lc-rs. The order of the key exchange groups is written down here, so that it cannot change with a feature of
/// a dependency: the post-quantum hybrid comes first, its share is the one sent in the first flight.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    CryptoProvider {
        kx_groups: vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        ..aws_lc_rs::default_provider()
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
