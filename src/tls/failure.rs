//! TLS failures in words that name no peer. Runs in the worker; pure.

use std::error::Error as StdError;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};

use super::identity::date;
use super::pin::{NotPinned, SelfSigned};

/// The TLS error that `error` is, or that it carries as an I/O error: the record layer reports both ways.
#[must_use]
pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        return io.get_ref().and_then(|inner| inner.downcast_ref());
    }
    error.downcast_ref()
}

/// Whether the peer's certificate is in order, but none of its keys is pinned.
#[must_use]
pub fn is_pin(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(OtherError(why))) if why.is::<NotPinned>())
}

/// Whether another time of day would change the outcome.
#[must_use]
pub fn is_about_time(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        error,
        Error::InvalidCertificate(Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
    )
}

/// What went wrong, without the names that a certificate or the request carries.
#[must_use]
pub fn reason(error: &Error) -> String {
    let text = match error {
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            return off("is not valid yet", "begins", *not_before, *time);
        }
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            return off("has expired", "ended", *not_after, *time);
        }
        Error::InvalidCertificate(CertificateError::Other(_)) if is_pin(error) => {
            "the peer's key is not one of the pinned ones"
        }
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) if why.is::<SelfSigned>() => {
            "the certificate was signed by nobody but itself"
        }
        Error::InvalidCertificate(why) => certificate(why),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the peer requires a client certificate"
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the peer supports no version of TLS that is allowed here"
        }
        Error::AlertReceived(alert) => return format!("the peer refused the TLS connection ({alert:?})"),
        Error::NoCertificatesPresented => "the peer presented no certificate",
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the peer supports no version of TLS that is allowed here"
        }
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

/// A certificate that another time of day would make valid: how far, since it may be our clock that is wrong.
fn off(what: &str, when: &str, bound: UnixTime, now: UnixTime) -> String {
    let (bound, now) = (bound.as_secs(), now.as_secs());
    let clock = date(now);
    let (far, side) = (apart(bound.abs_diff(now)), if bound > now { "behind" } else { "past" });
    format!(
        "the certificate {what}: it {when} on {}, and this machine's clock, at {clock}, is {far} {side} that",
        date(bound)
    )
}

/// A length of time in its two largest units.
pub(super) fn apart(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
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
