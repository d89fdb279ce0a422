//! The certificate that we present ourselves: whether it can be used, is the expected one, and how long it lasts. Runs
//! in the broker's check of the configuration and in the worker; reads no file.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::InconsistentKeys;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{pin, x509};
use crate::config::peer::{Digest, Identity};
use crate::config::types::{Transport, Worker};

const DAY: u64 = 86_400;
/// From how many days before the end on it is warned of, the closest first.
const WARN_DAYS: [u64; 3] = [1, 7, 30];
/// The last second of the year 9999, the end of certificates without an end and of what a date can show.
const END_OF_TIME: u64 = 253_402_300_799;

/// Why a client certificate is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The certificates are not PEM.
    CertificatePem,
    /// The first certificate is none.
    Certificate,
    /// The key is not PEM, or of no kind that can be used.
    Key,
    /// The key is that of another certificate.
    KeyOfAnother,
    /// The certificate is not the expected one.
    Fingerprint {
        /// What it is.
        found: Digest,
    },
    /// The certificate has expired.
    Expired {
        /// When, in seconds since 1970.
        at: u64,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificatePem => f.write_str("the certificates are not well-formed PEM"),
            Self::Certificate => f.write_str("the first certificate is malformed"),
            Self::Key => f.write_str("the private key cannot be used; it must be RSA, ECDSA or Ed25519"),
            Self::KeyOfAnother => f.write_str(
                "the private key does not belong to the first certificate; the certificate of the key must come first",
            ),
            Self::Fingerprint { found } => {
                write!(f, "the certificate is not the one of client_cert_fingerprint; found {found}")
            }
            Self::Expired { at } => write!(f, "the certificate expired on {}", date(*at)),
        }
    }
}

impl std::error::Error for Unusable {}

/// A moment as a date that a person reads.
pub(super) fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(END_OF_TIME)))
}

/// Certificate and key as rustls takes them, once they were found to belong together.
pub(super) fn certified(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
    let chain = chain(identity)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose().as_bytes()).map_err(|_| Unusable::Key)?;
    let key: Arc<_> = provider.key_provider.load_private_key(key).map_err(|_| Unusable::Key)?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Unusable::KeyOfAnother),
        Err(rustls::Error::InconsistentKeys(_)) => Err(Unusable::Key),
        Err(_) => Err(Unusable::Certificate),
    }
}

fn chain(identity: &Identity) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect();
    all.map_err(|_| Unusable::CertificatePem)
}

/// How many whole days the certificate lasts; `None` when it cannot be read or has ended.
#[must_use]
pub fn days_left(identity: &Identity, now: SystemTime) -> Option<u64> {
    let facts = x509::facts(chain(identity).ok()?.first()?).ok()?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    facts.not_after.checked_sub(now).map(|left| left / DAY)
}

/// Checks everything that can be known before it is presented, and returns what deserves a warning now.
///
/// # Errors
/// When no peer could accept it, or it is not the expected one.
pub(super) fn check(
    identity: &Identity,
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<Option<String>, Unusable> {
    let certified = certified(identity, provider)?;
    let leaf = certified.cert.first().ok_or(Unusable::Certificate)?;
    let found = pin::sha256(leaf);
    if identity.fingerprint.is_some_and(|expected| expected != found) {
        return Err(Unusable::Fingerprint { found });
    }
    let facts = x509::facts(leaf).map_err(|_| Unusable::Certificate)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(left) = facts.not_after.checked_sub(now) else {
        return Err(Unusable::Expired { at: facts.not_after });
    };
    if facts.not_before > now {
        let (begins, ours) = (date(facts.not_before), date(now));
        return Ok(Some(format!(
            "the certificate is not valid before {begins}, and this machine's clock says {ours}"
        )));
    }
    let close = WARN_DAYS.iter().find(|days| left < days.saturating_mul(DAY));
    Ok(close.map(|days| {
        let unit = if *days == 1 { "day" } else { "days" };
        format!("the certificate expires on {}, in less than {days} {unit}", date(facts.not_after))
    }))
}

/// The certificates that the agent presents: whose each is, by its setting, and the second of its end.
#[must_use]
pub fn own_certificates(worker: &Worker) -> Vec<(String, u64)> {
    let servers = worker.bindings.iter().filter_map(|binding| match &binding.transport {
        Transport::Http { peer, .. } => Some(&**peer),
        Transport::Stdio { .. } => None,
    });
    let own = [&worker.control.peer, &worker.proxy_peer].into_iter().chain(servers);
    let mut found: Vec<(String, u64)> = own
        .filter_map(|peer| peer.identity.as_ref())
        .filter_map(|identity| {
            let leaf = chain(identity).ok()?.into_iter().next()?;
            Some((identity.name.clone(), x509::facts(&leaf).ok()?.not_after))
        })
        .collect();
    // The default of all MCP servers is the same for each.
    found.dedup();
    found
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
