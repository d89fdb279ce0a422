//! A certificate authority made on the spot: server and client certificates, and the rustls configurations for them.
//!
//! Keys live in memory; [`Identity::write`] and [`Ca::write`] put PEM files where a test or a person wants them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The names every server certificate of the lab carries.
pub const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// An authority: a self-signed root, or an intermediate below one.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// The certificates between a leaf and the root, this authority's own first; empty for a root.
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
}

/// A certificate with its chain and its key.
pub struct Identity {
    /// The leaf, then the intermediates, as PEM.
    pub cert_pem: String,
    /// The key, PKCS#8 PEM.
    pub key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    spki: Vec<u8>,
}

fn named(name: &str, sans: &[&str]) -> CertificateParams {
    let sans: Vec<String> = sans.iter().map(|s| (*s).to_owned()).collect();
    let mut params = CertificateParams::new(sans).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Ca {
    /// A fresh root.
    pub fn new() -> Self {
        // Two roots of the same name would be told apart by their signatures only, and reported as such.
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("lab root {} {}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let issuer = CertifiedIssuer::self_signed(authority(&name), KeyPair::generate().unwrap()).unwrap();
        Self { issuer, chain: Vec::new(), chain_pem: String::new() }
    }

    /// An intermediate authority signed by this one; what it issues carries it in the chain.
    pub fn intermediate(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(authority("lab intermediate"), key, &self.issuer).unwrap();
        let mut chain = vec![issuer.der().clone()];
        chain.extend(self.chain.iter().cloned());
        let chain_pem = format!("{}{}", issuer.pem(), self.chain_pem);
        Self { issuer, chain, chain_pem }
    }

    /// The certificate of this authority, PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The certificate of this authority, DER.
    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Writes `ca.pem` into `dir` and returns its path.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        std::fs::write(&path, self.pem()).unwrap();
        path
    }

    /// A server certificate for `localhost`, 127.0.0.1 and ::1.
    pub fn server(&self) -> Identity {
        self.server_for(&LOCAL)
    }

    /// A server certificate for the given names and addresses.
    pub fn server_for(&self, names: &[&str]) -> Identity {
        let mut params = named(names.first().unwrap_or(&"lab"), names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// The public key of this authority (SubjectPublicKeyInfo, DER).
    pub fn spki(&self) -> Vec<u8> {
        self.issuer.key().subject_public_key_info()
    }

    /// A server certificate for the local names that ended in the year 2001.
    pub fn server_expired(&self) -> Identity {
        self.server_between(2000, 2001)
    }

    /// A server certificate for the local names that is valid from one New Year to another.
    pub fn server_between(&self, from: i32, to: i32) -> Identity {
        let mut params = named("localhost", &LOCAL);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(params)
    }

    /// A client certificate with the given common name.
    pub fn client(&self, name: &str) -> Identity {
        let mut params = named(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(params)
    }

    /// A client certificate that is valid for so many seconds, or was until so many seconds ago.
    pub fn client_for(&self, name: &str, seconds: i64) -> Identity {
        let mut params = named(name, &[]);
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let end = date_time_ymd(1970, 1, 1) + Duration::from_secs(since.checked_add_signed(seconds).unwrap());
        params.not_after = end;
        self.issue(params)
    }

    fn issue(&self, mut params: CertificateParams) -> Identity {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![cert.der().clone()];
        chain.extend(self.chain.iter().cloned());
        Identity {
            cert_pem: format!("{}{}", cert.pem(), self.chain_pem),
            key_pem: key.serialize_pem(),
            chain,
            key: key.serialize_der(),
            spki: key.subject_public_key_info(),
        }
    }

    /// Trusts this authority only; for clients written in tests. Offers h2 and http/1.1 when `http2`.
    pub fn client_config(&self, identity: Option<&Identity>, http2: bool) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(id) => builder.with_client_auth_cert(id.chain.clone(), id.private_key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn(http2);
        Arc::new(config)
    }
}

impl Identity {
    /// A server certificate for the local names that nobody signed but itself.
    pub fn self_signed() -> Self {
        let key = KeyPair::generate().unwrap();
        let cert = named("localhost", &LOCAL).self_signed(&key).unwrap();
        Self {
            cert_pem: cert.pem(),
            key_pem: key.serialize_pem(),
            chain: vec![cert.der().clone()],
            key: key.serialize_der(),
            spki: key.subject_public_key_info(),
        }
    }

    /// The public key (SubjectPublicKeyInfo, DER).
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Presents one certificate more, which has nothing to do with the rest.
    pub fn append(&mut self, certificate: &CertificateDer<'static>) {
        self.chain.push(certificate.clone());
    }

    /// A server configuration with this identity for HTTP/1.1, of these versions and key exchange groups only.
    pub fn narrow_config(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        groups: &[&'static dyn rustls::crypto::SupportedKxGroup],
    ) -> Arc<rustls::ServerConfig> {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = groups.to_vec();
        let config = rustls::ServerConfig::builder_with_provider(provider.into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.private_key());
        Arc::new(config.unwrap())
    }

    /// Writes `{name}.pem` and `{name}.key` into `dir` and returns both paths.
    pub fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert_pem).unwrap();
        std::fs::write(&key, &self.key_pem).unwrap();
        (cert, key)
    }

    /// The leaf, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        self.chain.first().unwrap()
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// A server configuration with this identity. With `clients`, a certificate of that authority is required.
    pub fn server_config(&self, http2: bool, clients: Option<&Ca>) -> Arc<rustls::ServerConfig> {
        let builder = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(ca) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(ca.der()).unwrap();
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(self.chain.clone(), self.private_key()).unwrap();
        config.alpn_protocols = alpn(http2);
        Arc::new(config)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn alpn(http2: bool) -> Vec<Vec<u8>> {
    if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] }
}
