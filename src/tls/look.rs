//! Looking at what a peer shows, for people who want to pin it. Runs in a worker that does nothing else.
//!
//! A peer that is not believed is not spoken to: the handshake ends as it would for any other connection. What is
//! handed out are texts and digests, ready to be shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};
use webpki::EndEntityCert;

use super::{failure, identity, pin, x509};
use crate::config::peer::Digest;

/// The most certificates of a presented list that are described; real ones have three or four.
const MAX_LINKS: usize = 10;

/// One certificate, or the trust anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Whose it is.
    pub subject: String,
    /// Who signed it; a trust anchor of the web roots does not say.
    pub issuer: Option<String>,
    /// From when and until when; a trust anchor does not say.
    pub validity: Option<(String, String)>,
    /// The digest of its key; `None` when the certificate cannot be read.
    pub pin: Option<Digest>,
}

/// What a peer showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Sight {
    /// It is believed: the verified path, the peer's own certificate first, the trust anchor last.
    Verified(Vec<Link>),
    /// It is not: the certificates as it presented them, and why.
    Unverified {
        /// What it presented; nothing of it is to be believed.
        presented: Vec<Link>,
        /// In one sentence.
        why: String,
    },
}

#[derive(Debug, Default)]
struct Noted {
    sight: Option<Sight>,
    /// The peer signed the handshake with the key of its certificate: the certificate is not somebody else's.
    proved: bool,
}

/// Where to find out what was seen.
#[derive(Clone, Debug, Default)]
pub struct Look(Arc<Mutex<Noted>>);

impl Look {
    /// What was seen, if the peer came so far as to show a certificate.
    #[must_use]
    pub fn take(&self) -> Option<Sight> {
        let Noted { sight, proved } = std::mem::take(&mut *self.noted());
        match sight? {
            Sight::Verified(presented) if !proved => {
                let why = "the peer did not prove that it has the key of its certificate".into();
                Some(Sight::Unverified { presented, why })
            }
            sight => Some(sight),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Looking {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    look: Look,
}

impl Looking {
    pub(super) fn new(
        inner: Arc<WebPkiServerVerifier>,
        roots: Arc<RootCertStore>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> (Self, Look) {
        let look = Look::default();
        (Self { inner, roots, algorithms, look: look.clone() }, look)
    }

    fn path(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Vec<Link>> {
        let links = |path: &webpki::VerifiedPath<'_>| {
            let mut links = vec![of_certificate(&path.end_entity().der())];
            links.extend(path.intermediate_certificates().map(|c| of_certificate(&c.der())));
            let anchor = path.anchor();
            links.push(Link {
                subject: x509::name(&anchor.subject),
                issuer: None,
                validity: None,
                pin: pin::keys(path).pop(),
            });
            links
        };
        pin::verified(leaf, others, &self.roots, &self.algorithms, now, None, links).ok()
    }
}

fn of_certificate(certificate: &CertificateDer<'_>) -> Link {
    let key = EndEntityCert::try_from(certificate).ok().map(|c| pin::sha256(&c.subject_public_key_info()));
    match x509::facts(certificate) {
        Ok(facts) => Link {
            subject: facts.subject,
            issuer: Some(facts.issuer),
            validity: Some((identity::date(facts.not_before), identity::date(facts.not_after))),
            pin: key,
        },
        Err(malformed) => Link { subject: malformed.to_string(), issuer: None, validity: None, pin: key },
    }
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self.inner.verify_server_cert(leaf, others, name, ocsp, now);
        let presented = || std::iter::once(leaf).chain(others).take(MAX_LINKS).map(of_certificate).collect();
        let sight = match (&judged, self.path(leaf, others, now)) {
            (Ok(_), Some(path)) => Sight::Verified(path),
            (Ok(_), None) => Sight::Unverified { presented: presented(), why: "no path was found".into() },
            (Err(why), _) => Sight::Unverified { presented: presented(), why: failure::reason(why) },
        };
        self.look.noted().sight = Some(sight);
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.inner.verify_tls12_signature(message, certificate, signature)?;
        self.look.noted().proved = true;
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.inner.verify_tls13_signature(message, certificate, signature)?;
        self.look.noted().proved = true;
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
