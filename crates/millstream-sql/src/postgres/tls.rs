//! Encryption, with the server's certificate verified.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use millstream_core::error::{Error, ErrorKind};

/// Prepares to encrypt; `file` holds the authorities to believe, or the system knows them.
pub(super) fn connector(file: Option<&Path>) -> Result<MakeRustlsConnect, Error> {
    let misconfigured = |text: String| Error::new(ErrorKind::Misconfigured, text);
    let mut authorities = RootCertStore::empty();
    match file {
        Some(file) => {
            let failed = |error: &dyn std::fmt::Display| {
                misconfigured(format!("authorities in {}: {error}", file.display()))
            };
            for certificate in
                CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?
            {
                let certificate = certificate.map_err(|error| failed(&error))?;
                authorities
                    .add(certificate)
                    .map_err(|error| failed(&error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            authorities.add_parsable_certificates(found.certs);
        }
    }
    if authorities.is_empty() {
        return Err(misconfigured(
            "no certificate authority is known: name a file of them as ca".into(),
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| misconfigured(error.to_string()))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
