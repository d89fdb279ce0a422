use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::NamedGroup;

use super::client::provider;
use super::{Error, Trust, client_config, find, is_about_time, is_pin, reason, roots};
use crate::config::peer::{MinVersion, Peer, PostQuantum, Tls};
use crate::log::Log;

fn anchor() -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn the_post_quantum_hybrid_is_offered_first() {
    let config = client_config(None).unwrap();
    let groups: Vec<NamedGroup> = config.crypto_provider().kx_groups.iter().map(|g| g.name()).collect();
    assert_eq!(groups.first(), Some(&NamedGroup::X25519MLKEM768));
    assert_eq!(groups.get(1), Some(&NamedGroup::X25519));
    assert_eq!(provider(PostQuantum::Prefer).kx_groups.len(), groups.len());
    let without: Vec<NamedGroup> = provider(PostQuantum::Off).kx_groups.iter().map(|g| g.name()).collect();
    assert_eq!(without, groups[1..]);
}

#[test]
fn a_bundle_is_added_to_the_web_roots() {
    let mut store = roots::web();
    let web = store.len();
    assert!(web > 50);
    let text = format!("# comment\n{}\nnoise\n{}", anchor(), anchor());
    roots::add(&mut store, &text).unwrap();
    assert_eq!(store.len(), web + 2);
}

#[test]
fn a_peer_has_the_anchors_that_it_was_given() {
    let web = roots::web().len();
    let own = Some(format!("{}{}", anchor(), anchor()));
    for (bundle, bundle_only, ca_pem, expected) in [
        (None, false, None, Ok(web)),
        (Some(anchor()), false, None, Ok(web + 1)),
        (Some(anchor()), false, own.clone(), Ok(web + 3)),
        (Some(anchor()), true, None, Ok(1)),
        (Some(anchor()), true, own.clone(), Ok(3)),
        (None, true, own, Ok(2)),
        (None, true, None, Err(Error::NoAnchor)),
        (None, false, Some(String::new()), Err(Error::NoCertificate)),
    ] {
        let trust = Trust::new(bundle.as_deref(), Tls::default()).unwrap();
        let peer = Peer { bundle_only, ca_pem, ..Peer::default() };
        assert_eq!(trust.anchors(&peer).map(|store| store.len()), expected);
    }
}

#[test]
fn the_oldest_version_is_what_the_configuration_says() {
    for (min_version, old) in [(MinVersion::Tls13, false), (MinVersion::Tls12, true)] {
        let trust = Trust::new(None, Tls { min_version, ..Tls::default() }).unwrap();
        let config = trust.client(&Peer::default(), "x", &Log::memory().0).unwrap();
        // rustls does not show the versions; it shows them when it prints itself.
        let shown = format!("{:?}", config);
        assert_eq!(shown.contains("TLSv1_2"), old, "{shown}");
        assert!(shown.contains("TLSv1_3"));
        assert!(config.alpn_protocols.is_empty() && !config.enable_early_data);
        assert!(!config.key_log.will_log("CLIENT_RANDOM"));
    }
}

#[test]
fn a_certificate_out_of_time_says_how_far_our_clock_is_from_it() {
    use rustls::CertificateError::{ExpiredContext, NotValidYetContext};
    let at = |secs| rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
    let early = rustls::Error::InvalidCertificate(NotValidYetContext { time: at(0), not_before: at(93_784) });
    assert_eq!(
        reason(&early),
        "the certificate is not valid yet: it begins on Fri, 02 Jan 1970 02:03:04 GMT, and this machine's clock, at \
         Thu, 01 Jan 1970 00:00:00 GMT, is 1 d 2 h behind that"
    );
    let late = rustls::Error::InvalidCertificate(ExpiredContext { time: at(3725), not_after: at(0) });
    assert!(reason(&late).starts_with("the certificate has expired: it ended on Thu, 01 Jan 1970"));
    assert!(reason(&late).ends_with("is 1 h 2 min past that"), "{}", reason(&late));
    assert!(is_about_time(&early) && is_about_time(&late));
    let other = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    assert!(!is_about_time(&other) && !is_pin(&other));
}

#[test]
fn a_private_key_in_a_bundle_is_passed_over() {
    let text = format!("{}{}", KeyPair::generate().unwrap().serialize_pem(), anchor());
    assert!(client_config(Some(&text)).is_ok());
}

#[test]
fn bundles_that_cannot_be_used_say_why() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cut = anchor().replace("-----END", "-----EN");
    for (text, error) in [
        (String::new(), Error::NoCertificate),
        ("no PEM at all".into(), Error::NoCertificate),
        (KeyPair::generate().unwrap().serialize_pem(), Error::NoCertificate),
        (format!("{}{broken}", anchor()), Error::Certificate { number: 2 }),
        (cut, Error::Pem),
    ] {
        assert_eq!(client_config(Some(&text)).unwrap_err(), error);
    }
    assert_eq!(
        Error::Certificate { number: 2 }.to_string(),
        "certificate number 2 cannot be used as a trust anchor"
    );
}

#[test]
fn nothing_is_offered_that_was_not_asked_for() {
    let config = client_config(None).unwrap();
    assert!(config.alpn_protocols.is_empty());
    assert!(!config.enable_early_data);
    assert!(!config.key_log.will_log("CLIENT_RANDOM"));
}

#[test]
fn tls_errors_are_found_inside_io_errors() {
    let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let wrapped = std::io::Error::new(std::io::ErrorKind::InvalidData, inner.clone());
    assert_eq!(find(&wrapped), Some(&inner));
    assert_eq!(find(&inner), Some(&inner));
    assert_eq!(find(&std::io::Error::from(std::io::ErrorKind::NotFound)), None);
    assert_eq!(reason(&inner), "the certificate has an unknown issuer");
}
