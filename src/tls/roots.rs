//! Trust anchors: the web roots compiled in, and what the operator adds. Runs in the worker and in the broker's
//! check of the configuration; reads no file.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::Error;

/// The built-in web roots and every certificate of `ca_pem`.
///
/// Every certificate must be usable: an anchor that is silently skipped is found out much later, as a failing
/// connection.
pub(super) fn store(ca_pem: Option<&str>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let Some(text) = ca_pem else { return Ok(store) };
    let mut number = 0;
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        number += 1;
        store.add(certificate.map_err(|_| Error::Pem)?).map_err(|_| Error::Certificate { number })?;
    }
    if number == 0 { Err(Error::NoCertificate) } else { Ok(store) }
}
