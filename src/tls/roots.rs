//! Trust anchors: the web roots compiled in, and what the operator adds or puts in their place. Runs in the worker and
//! in the broker's check of the configuration; reads no file.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Error;

/// The web roots compiled in.
pub(super) fn web() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Adds every certificate of `pem`.
///
/// Every certificate must be usable: an anchor that is silently skipped is found out much later, as a failing
/// connection.
pub(super) fn add(store: &mut RootCertStore, pem: &str) -> Result<(), Error> {
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        number += 1;
        store.add(certificate.map_err(|_| Error::Pem)?).map_err(|_| Error::Certificate { number })?;
    }
    if number == 0 { Err(Error::NoCertificate) } else { Ok(()) }
}
