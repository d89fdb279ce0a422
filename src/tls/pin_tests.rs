use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PublicKeyData as _,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use super::{Digest, NotPinned, Pinned, sha256};
use crate::config::peer::PostQuantum;
use crate::log::Log;
use crate::tls::client::provider;
use crate::tls::{is_pin, reason};

type Ca = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if ca {
        params.subject_alt_names.clear();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn root(name: &str) -> Ca {
    CertifiedIssuer::self_signed(params(name, true), KeyPair::generate().unwrap()).unwrap()
}

fn below(ca: &Ca, name: &str, key: KeyPair) -> Ca {
    CertifiedIssuer::signed_by(params(name, true), key, ca).unwrap()
}

/// A certificate for localhost and the pin of its key.
fn leaf(ca: &Ca) -> (CertificateDer<'static>, Digest) {
    let key = KeyPair::generate().unwrap();
    let certificate = params("leaf", false).signed_by(&key, ca).unwrap();
    (certificate.der().clone(), sha256(&key.subject_public_key_info()))
}

fn pin(ca: &Ca) -> Digest {
    sha256(&ca.key().subject_public_key_info())
}

fn verify(
    roots: &[&Ca],
    pins: &[Digest],
    presented: &[&CertificateDer<'static>],
    host: &str,
) -> Result<(), Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.der().clone()).unwrap();
    }
    let (roots, provider) = (Arc::new(store), Arc::new(provider(PostQuantum::Prefer)));
    let algorithms = provider.signature_verification_algorithms;
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider).build().unwrap();
    let pinned = Pinned::new(inner, roots, algorithms, pins.to_vec(), "x".into(), Log::memory().0);
    let [leaf, others @ ..] = presented else { panic!("nothing presented") };
    let others: Vec<CertificateDer<'_>> = others.iter().map(|c| (*c).clone()).collect();
    let name = ServerName::try_from(host.to_string()).unwrap();
    pinned.verify_server_cert(leaf, &others, &name, &[], UnixTime::now()).map(drop)
}

#[track_caller]
fn refused_by_pin(result: Result<(), Error>) -> Vec<Digest> {
    let error = result.unwrap_err();
    assert!(is_pin(&error), "{error:?}");
    assert_eq!(reason(&error), "the peer's key is not one of the pinned ones");
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { panic!("{error:?}") };
    other.0.downcast_ref::<NotPinned>().unwrap().seen.clone()
}

#[test]
fn a_pin_of_leaf_intermediate_or_anchor_is_enough() {
    let root = root("root");
    let middle = below(&root, "middle", KeyPair::generate().unwrap());
    let (leaf, key) = leaf(&middle);
    let chain = [&leaf, middle.der()];
    let stranger = Digest::new([7; 32]);
    for pins in [[key, stranger], [stranger, pin(&middle)], [stranger, pin(&root)]] {
        verify(&[&root], &pins, &chain, "localhost").unwrap();
    }
    let seen = refused_by_pin(verify(&[&root], &[stranger], &chain, "localhost"));
    assert_eq!(seen, [key, pin(&middle), pin(&root)]);
}

#[test]
fn a_pinned_certificate_appended_to_another_valid_chain_is_refused() {
    let (expected, other) = (root("expected"), root("other"));
    let (pinned, pinned_key) = leaf(&expected);
    let (leaf, key) = leaf(&other);
    // Both authorities are believed, so the chain of the impostor is valid by itself.
    let roots = [&expected, &other];
    let pins = [pinned_key, pin(&expected)];
    for appended in [&pinned, expected.der()] {
        let seen = refused_by_pin(verify(&roots, &pins, &[&leaf, appended], "localhost"));
        assert_eq!(seen, [key, pin(&other)]);
    }
    verify(&roots, &pins, &[&pinned], "localhost").unwrap();
}

#[test]
fn pins_do_not_replace_the_verification() {
    let (root, foreign) = (root("root"), root("foreign"));
    let (leaf, key) = leaf(&foreign);
    let pins = [key, pin(&foreign)];
    // The right key on a chain that nobody vouches for; and on one for another host.
    let untrusted = verify(&[&root], &pins, &[&leaf], "localhost").unwrap_err();
    assert_eq!(untrusted, Error::InvalidCertificate(CertificateError::UnknownIssuer));
    let elsewhere = verify(&[&foreign], &pins, &[&leaf], "example.com").unwrap_err();
    assert_eq!(reason(&elsewhere), "the certificate is not valid for the name");
    // Without a pin that fits, the name is what is complained about too.
    let elsewhere = verify(&[&foreign], &[Digest::new([7; 32])], &[&leaf], "example.com").unwrap_err();
    assert!(!is_pin(&elsewhere));
}

#[test]
fn of_two_valid_paths_the_pinned_one_is_found() {
    let (old, new) = (root("old"), root("new"));
    // One intermediate, signed by both roots.
    let key = KeyPair::generate().unwrap();
    let again = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let (by_old, by_new) = (below(&old, "middle", key), below(&new, "middle", again));
    let (leaf, _) = leaf(&by_old);
    let orders = [[&leaf, by_old.der(), by_new.der()], [&leaf, by_new.der(), by_old.der()]];
    for chain in orders {
        for pinned in [&old, &new] {
            verify(&[&old, &new], &[pin(pinned)], &chain, "localhost").unwrap();
        }
        // A root that is not believed makes no path, pinned or not.
        refused_by_pin(verify(&[&new], &[pin(&old)], &chain, "localhost"));
    }
}
