//! From checked settings to the configuration of a TLS client. Runs in the worker, and in the broker's check of the
//! configuration.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use super::{Error, identity, look, pin, roots};
use crate::config::peer::{MinVersion, Peer, PostQuantum, Tls};
use crate::config::types::{Transport, Worker};
use crate::log::Log;

/// Sessions kept for resumption, over all connections of one configuration.
const RESUMABLE_SESSIONS: usize = 64;

static NEWEST: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// What holds for every peer: the roots, `ca_bundle` and the `tls` section.
#[derive(Debug)]
pub struct Trust {
    bundle: Option<String>,
    /// The web roots and the bundle, shared by all peers that have nothing of their own.
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Trust {
    /// Believes the web roots and, in addition, every certificate of `ca_pem`.
    ///
    /// # Errors
    /// When `ca_pem` is not PEM, contains no certificate, or one that cannot be a trust anchor.
    pub fn new(ca_pem: Option<&str>, tls: Tls) -> Result<Self, Error> {
        let mut store = roots::web();
        if let Some(pem) = ca_pem {
            roots::add(&mut store, pem)?;
        }
        Ok(Self {
            bundle: ca_pem.map(str::to_string),
            roots: Arc::new(store),
            provider: Arc::new(provider(tls.post_quantum)),
            versions: match tls.min_version {
                MinVersion::Tls13 => NEWEST,
                MinVersion::Tls12 => BOTH,
            },
        })
    }

    /// Whom a certificate of the peer may lead to.
    pub(super) fn anchors(&self, peer: &Peer) -> Result<Arc<RootCertStore>, Error> {
        if peer.ca_pem.is_none() && !peer.bundle_only {
            return Ok(Arc::clone(&self.roots));
        }
        let mut store = match (peer.bundle_only, &self.bundle) {
            (false, _) => self.roots.as_ref().clone(),
            (true, bundle) => {
                let mut store = RootCertStore::empty();
                bundle.as_ref().map_or(Ok(()), |pem| roots::add(&mut store, pem))?;
                store
            }
        };
        peer.ca_pem.as_ref().map_or(Ok(()), |pem| roots::add(&mut store, pem))?;
        if store.is_empty() { Err(Error::NoAnchor) } else { Ok(Arc::new(store)) }
    }

    fn verifier(&self, anchors: &Arc<RootCertStore>) -> Result<Arc<WebPkiServerVerifier>, Error> {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(anchors), Arc::clone(&self.provider))
            .build()
            .map_err(|_| Error::NoAnchor)
    }

    /// The configuration for one peer, which the log calls `name`. No key log, no early data; ALPN is left empty, because
    /// what is offered depends on the connection.
    ///
    /// # Errors
    /// When anchors, certificate or key of the peer cannot be used.
    pub fn client(&self, peer: &Peer, name: &str, log: &Log) -> Result<Arc<ClientConfig>, Error> {
        let anchors = self.anchors(peer)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(self.versions)
            .map_err(|_| Error::Provider)?;
        let verifier = pin::Pinned::new(
            self.verifier(&anchors)?,
            anchors,
            self.provider.signature_verification_algorithms,
            peer.pins.clone(),
            name.to_string(),
            log.clone(),
        );
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &peer.identity {
            None => builder.with_no_client_auth(),
            // Presented whatever authorities the peer names: it may not know the names of those it believes.
            Some(own) => {
                let certified = identity::certified(own, &self.provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
        };
        config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
        Ok(Arc::new(config))
    }

    /// The configuration of a client that notes what the peer shows, believes it by the same rules as others, presents
    /// nothing and remembers nothing.
    ///
    /// # Errors
    /// When the anchors of the peer cannot be used.
    pub fn looking(&self, peer: &Peer) -> Result<(Arc<ClientConfig>, look::Look), Error> {
        let anchors = self.anchors(peer)?;
        let algorithms = self.provider.signature_verification_algorithms;
        let (verifier, look) = look::Looking::new(self.verifier(&anchors)?, anchors, algorithms);
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(self.versions)
            .map_err(|_| Error::Provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok((Arc::new(config), look))
    }

    /// Checks what the worker will be given, so that it is not the first to find out: it would be started again and
    /// again. Returns what deserves a warning.
    ///
    /// # Errors
    /// One sentence for each thing that is of no use.
    pub fn check(&self, worker: &Worker, now: SystemTime) -> Result<Vec<String>, Vec<String>> {
        let mut peers = vec![
            ("control_plane.ca_bundle_only".to_string(), &worker.control.peer),
            ("proxy.client_cert".to_string(), &worker.proxy_peer),
        ];
        for binding in &worker.bindings {
            if let Transport::Http { peer, .. } = &binding.transport {
                peers.push((format!("mcp.server_urls channel {} ca_bundle", binding.channel), peer));
            }
        }
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for (name, peer) in peers {
            problems.extend(self.anchors(peer).err().map(|e| format!("{name}: {e}")));
            let Some(own) = &peer.identity else { continue };
            match identity::check(own, &self.provider, now) {
                Ok(warning) => warnings.extend(warning.map(|w| format!("{}: {w}", own.name))),
                Err(unusable) => problems.push(format!("{}: {unusable}", own.name)),
            }
        }
        // The default of all MCP servers is the same for each.
        problems.dedup();
        warnings.dedup();
        if problems.is_empty() { Ok(warnings) } else { Err(problems) }
    }
}

/// A client that believes the web roots and every certificate of `ca_pem`, speaks TLS 1.3 and presents nothing.
///
/// # Errors
/// When `ca_pem` is not PEM, contains no certificate, or one that cannot be a trust anchor.
pub fn client_config(ca_pem: Option<&str>) -> Result<Arc<ClientConfig>, Error> {
    let trust = Trust::new(ca_pem, Tls::default())?;
    let builder = ClientConfig::builder_with_provider(Arc::clone(&trust.provider))
        .with_protocol_versions(trust.versions)
        .map_err(|_| Error::Provider)?;
    let mut config = builder.with_root_certificates(trust.roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(Arc::new(config))
}

/// aws-lc-rs. The order of the key exchange groups is written down here, so that it cannot change with a feature of
/// a dependency: the post-quantum hybrid comes first, its share is the one sent in the first flight.
pub(super) fn provider(post_quantum: PostQuantum) -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = match post_quantum {
        PostQuantum::Prefer => vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1],
        PostQuantum::Off => vec![X25519, SECP256R1, SECP384R1],
    };
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}
