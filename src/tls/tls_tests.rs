use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::NamedGroup;

use super::{Error, client_config, find, provider, reason, roots};

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
    assert_eq!(provider().kx_groups.len(), groups.len());
}

#[test]
fn a_bundle_is_added_to_the_web_roots() {
    let web = roots::store(None).unwrap().roots.len();
    assert!(web > 50);
    let text = format!("# comment\n{}\nnoise\n{}", anchor(), anchor());
    assert_eq!(roots::store(Some(&text)).unwrap().roots.len(), web + 2);
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
