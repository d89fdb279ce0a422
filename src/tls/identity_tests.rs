use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{DAY, Unusable, certified, check};
use crate::config::peer::{Digest, Identity, PostQuantum};
use crate::config::types::Secret;
use crate::tls::client::provider;
use crate::tls::pin::sha256;

/// 2024-01-01.
const BEGIN: u64 = 1_704_067_200;
/// 2025-01-01.
const END: u64 = 1_735_689_600;

/// An identity that is valid in the year 2024.
fn identity(key: &KeyPair) -> Identity {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "agent");
    (params.not_before, params.not_after) = (date_time_ymd(2024, 1, 1), date_time_ymd(2025, 1, 1));
    Identity {
        name: "control_plane.client_cert".into(),
        certificate: params.self_signed(key).unwrap().pem(),
        key: Secret::new(key.serialize_pem()).into(),
        fingerprint: None,
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn checked(identity: &Identity, now: u64) -> Result<Option<String>, Unusable> {
    check(identity, &provider(PostQuantum::Prefer), at(now))
}

#[test]
fn every_kind_of_key_is_taken_when_it_is_that_of_the_certificate() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(checked(&identity(&key), BEGIN), Ok(None));
    }
    let own = identity(&KeyPair::generate().unwrap());
    let other = KeyPair::generate().unwrap();
    let swapped = Identity { key: Secret::new(other.serialize_pem()).into(), ..own.clone() };
    assert_eq!(checked(&swapped, BEGIN), Err(Unusable::KeyOfAnother));
    // The chain in the wrong order: the certificate of the key must come first.
    let chain = format!("{}{}", identity(&other).certificate, own.certificate);
    let reversed = Identity { certificate: chain.clone(), ..own.clone() };
    assert_eq!(checked(&reversed, BEGIN), Err(Unusable::KeyOfAnother));
    let whole = Identity { certificate: chain, ..swapped };
    assert_eq!(certified(&whole, &provider(PostQuantum::Off)).unwrap().cert.len(), 2);
}

#[test]
fn what_is_no_key_or_certificate_is_told_apart() {
    let own = identity(&KeyPair::generate().unwrap());
    let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let key = Identity { key: Secret::new(block("PRIVATE KEY")).into(), ..own.clone() };
    assert_eq!(checked(&key, BEGIN), Err(Unusable::Key));
    let certificate = Identity { certificate: block("CERTIFICATE"), ..own.clone() };
    assert_eq!(checked(&certificate, BEGIN), Err(Unusable::Certificate));
    let pem = Identity { certificate: block("CERTIFICATE").replace("AAAA", "A"), ..own };
    assert_eq!(checked(&pem, BEGIN), Err(Unusable::CertificatePem));
    // The reader of PEM names what it cannot use; nothing of a key may be in a message.
    for unusable in [Unusable::Key, Unusable::Certificate, Unusable::CertificatePem] {
        assert!(!unusable.to_string().contains("AAAA"));
    }
}

#[test]
fn the_fingerprint_is_that_of_the_certificate() {
    let own = identity(&KeyPair::generate().unwrap());
    let found = sha256(&CertificateDer::from_pem_slice(own.certificate.as_bytes()).unwrap());
    let with = |fingerprint| Identity { fingerprint: Some(fingerprint), ..own.clone() };
    assert_eq!(checked(&with(found), BEGIN), Ok(None));
    let wrong = checked(&with(Digest::new([1; 32])), BEGIN);
    assert_eq!(wrong, Err(Unusable::Fingerprint { found }));
    assert!(wrong.unwrap_err().to_string().ends_with(&found.to_string()));
}

#[test]
fn the_end_is_warned_of_30_7_and_1_days_before() {
    let own = identity(&KeyPair::generate().unwrap());
    for (left, days) in [
        (31 * DAY, None),
        (30 * DAY, None),
        (30 * DAY - 1, Some("30 days")),
        (7 * DAY, Some("30 days")),
        (7 * DAY - 1, Some("7 days")),
        (DAY, Some("7 days")),
        (DAY - 1, Some("1 day")),
        (0, Some("1 day")),
    ] {
        let warning = checked(&own, END - left).unwrap();
        let expected = days.map(|days| {
            format!("the certificate expires on Wed, 01 Jan 2025 00:00:00 GMT, in less than {days}")
        });
        assert_eq!(warning, expected, "{left} s before");
    }
    assert_eq!(checked(&own, END + 1), Err(Unusable::Expired { at: END }));
    assert!(Unusable::Expired { at: END }.to_string().ends_with("expired on Wed, 01 Jan 2025 00:00:00 GMT"));
    let early = checked(&own, BEGIN - 1).unwrap().unwrap();
    assert!(early.contains("not valid before Mon, 01 Jan 2024 00:00:00 GMT"), "{early}");
}
