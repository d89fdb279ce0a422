//! TLS failures in words that name no peer. Runs in the worker; pure.

use std::error::Error as StdError;

use rustls::{CertificateError, Error};

/// The TLS error that `error` is, or that it carries as an I/O error: the record layer reports both ways.
#[must_use]
pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        return io.get_ref().and_then(|inner| inner.downcast_ref());
    }
    error.downcast_ref()
}

/// What went wrong, without the names that a certificate or the request carries.
#[must_use]
pub fn reason(error: &Error) -> String {
    let text = match error {
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(alert) => return format!("the peer refused the TLS connection ({alert:?})"),
        Error::NoCertificatesPresented => "the peer presented no certificate",
        Error::PeerIncompatible(_) => "the peer supports no common TLS version or algorithm",
        Error::PeerMisbehaved(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. } => "the peer broke the TLS protocol",
        Error::InvalidMessage(_) | Error::PeerSentOversizedRecord => "the peer does not speak TLS",
        Error::NoApplicationProtocol => "the peer supports no common application protocol",
        Error::DecryptError => "a TLS record could not be decrypted",
        Error::FailedToGetCurrentTime => "the current time is not known",
        Error::FailedToGetRandomBytes => "no random bytes could be had",
        _ => "the TLS connection failed",
    };
    text.into()
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "the certificate has an unknown issuer",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is not valid for the name"
        }
        CertificateError::Revoked => "the certificate has been revoked",
        CertificateError::BadSignature => "the certificate has a bad signature",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not meant for servers"
        }
        CertificateError::BadEncoding => "the certificate is malformed",
        CertificateError::UnhandledCriticalExtension => {
            "the certificate has a critical extension that is not understood"
        }
        _ => "the certificate is not valid",
    }
}
