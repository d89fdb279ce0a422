//! Pins: after everything else about a certificate was found in order, one key on its way to the root must be one that
//! the operator expects. Runs in the worker; pure but for a log line.
//!
//! What counts is the path that WebPKI built and verified, never the list that the peer presented: anybody can append
//! somebody else's certificate to it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::x509;
use crate::config::peer::Digest;
use crate::log::Log;

/// The certificate is in order, and none of the keys on its path is pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotPinned {
    /// The keys of the path, the peer's own first, the trust anchor's last.
    pub seen: Vec<Digest>,
}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer's key is not one of the pinned ones")
    }
}

impl std::error::Error for NotPinned {}

/// The certificate has no issuer that is believed, and names none but itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the certificate was signed by nobody but itself")
    }
}

impl std::error::Error for SelfSigned {}

/// SHA-256 of anything.
pub(super) fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    // A SHA-256 has as many bytes as there is room for.
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    Digest::new(out)
}

/// The verifier of rustls, and the pins after it, if there are any.
#[derive(Debug)]
pub(super) struct Pinned {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    pins: Vec<Digest>,
    peer: String,
    log: Log,
}

impl Pinned {
    /// `inner` must believe `roots`. `peer` is what the log calls the peer.
    pub(super) fn new(
        inner: Arc<WebPkiServerVerifier>,
        roots: Arc<RootCertStore>,
        algorithms: WebPkiSupportedAlgorithms,
        pins: Vec<Digest>,
        peer: String,
        log: Log,
    ) -> Self {
        Self { inner, roots, algorithms, pins, peer, log }
    }

    fn is_pinned(&self, key: &Digest) -> bool {
        let same = |pin: &Digest| constant_time::verify_slices_are_equal(pin.bytes(), key.bytes()).is_ok();
        // No early end: every pin is compared.
        self.pins.iter().map(same).fold(false, |any, one| any | one)
    }

    /// Looks for a path with a pinned key among those that WebPKI finds valid.
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let seen = RefCell::new(Vec::new());
        let judge = |path: &VerifiedPath<'_>| {
            let keys = keys(path);
            if keys.iter().map(|key| self.is_pinned(key)).fold(false, |any, one| any | one) {
                return Ok(());
            }
            let mut seen = seen.borrow_mut();
            if seen.is_empty() {
                *seen = keys;
            }
            // Any error makes it look for another path.
            Err(webpki::Error::UnknownIssuer)
        };
        let found = verified(leaf, intermediates, &self.roots, &self.algorithms, now, Some(&judge), |_| ());
        if found.is_ok() {
            return Ok(());
        }
        let mismatch = NotPinned { seen: seen.take() };
        let shown: Vec<String> = mismatch.seen.iter().map(Digest::to_string).collect();
        self.log.error(
            "tls",
            "the peer's key is not one of the pinned ones",
            &[("peer", self.peer.as_str().into()), ("pins_seen", shown.join(" ").into())],
        );
        Err(CertificateError::Other(OtherError(Arc::new(mismatch))).into())
    }
}

/// An unknown issuer, told apart when it is the certificate itself: the two are mended differently.
fn explained(error: Error, leaf: &CertificateDer<'_>) -> Error {
    let own = || x509::facts(leaf).is_ok_and(|facts| facts.issuer == facts.subject);
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) if own() => {
            CertificateError::Other(OtherError(Arc::new(SelfSigned))).into()
        }
        other => other,
    }
}

type Judge<'a> = &'a dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>;

/// Builds a path as the verifier of rustls does, and gives it to `take`.
pub(super) fn verified<T>(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &RootCertStore,
    algorithms: &WebPkiSupportedAlgorithms,
    now: UnixTime,
    judge: Option<Judge<'_>>,
    take: impl FnOnce(&VerifiedPath<'_>) -> T,
) -> Result<T, webpki::Error> {
    let leaf = EndEntityCert::try_from(leaf)?;
    let usage = KeyUsage::server_auth();
    let path = leaf.verify_for_usage(algorithms.all, &roots.roots, intermediates, now, usage, None, judge)?;
    Ok(take(&path))
}

/// The digests of the keys of a path: the peer's own, those between, the trust anchor's.
pub(super) fn keys(path: &VerifiedPath<'_>) -> Vec<Digest> {
    let mut keys = vec![sha256(&path.end_entity().subject_public_key_info())];
    keys.extend(path.intermediate_certificates().map(|c| sha256(&c.subject_public_key_info())));
    keys.push(sha256(&webpki::spki_for_anchor(path.anchor())));
    keys
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self
            .inner
            .verify_server_cert(leaf, intermediates, name, ocsp, now)
            .map_err(|error| explained(error, leaf))?;
        if !self.pins.is_empty() {
            self.check(leaf, intermediates, now)?;
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
#[path = "pin_tests.rs"]
mod tests;
