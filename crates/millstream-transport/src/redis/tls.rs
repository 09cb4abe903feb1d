//! Encryption, by one configuration for all connections, so that sessions are resumed.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};
use tracing::warn;

use super::error::Fault;
use super::options::Tls;

/// Reads the files.
pub(super) fn connector(files: &Tls) -> Result<TlsConnector, Fault> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::misconfigured(error.to_string()))?
        .with_root_certificates(authorities(files)?);
    let config = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| {
                let (certificate, key) = (certificate.display(), key.display());
                Fault::misconfigured(format!(
                    "certificate {certificate} and key {key} cannot be used together: {error}"
                ))
            })?,
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Fault> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Fault::misconfigured(format!("{host} is no name that a certificate can have")))
}

fn authorities(files: &Tls) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    if let Some(file) = &files.authorities {
        for certificate in certificates(file)? {
            store
                .add(certificate)
                .map_err(|error| unreadable(file, "an authority", &error))?;
        }
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = store.add_parsable_certificates(found.certs);
    for error in &found.errors {
        warn!(%error, "a certificate authority of the system could not be read");
    }
    if added == 0 {
        return Err(Fault::misconfigured(
            "the system knows no certificate authority (name the file of one as `ca`)",
        ));
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let certificates = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(file, "a certificate", &error))?;
    if certificates.is_empty() {
        return Err(unreadable(file, "a certificate", &"there is none in it"));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map_err(|error| unreadable(file, "a private key", &error))
}

fn read(file: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(file).map_err(|error| unreadable(file, "a PEM file", &error))
}

fn unreadable(file: &Path, what: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::misconfigured(format!(
        "cannot read {what} from {}: {error}",
        file.display()
    ))
}

/// What a person has to mend, if that is why the connection failed.
pub(super) fn explain(error: &(dyn StdError + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return explain_tls(error).map(|text| Fault::misconfigured(format!("{text}: {error}")));
        }
        next = within(error).or_else(|| error.source());
    }
    None
}

/// What an error is wrapped around, where that is not its source: the source of what is within is.
fn within<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    type Shared = Arc<dyn StdError + Send + Sync>;
    if let Some(shared) = error.downcast_ref::<Shared>() {
        return Some(&**shared);
    }
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner)
}

fn explain_tls(error: &rustls::Error) -> Option<&'static str> {
    use rustls::Error as E;
    use rustls::{AlertDescription as A, CertificateError as C};
    Some(match error {
        E::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => {
            "the server's certificate comes from an unknown authority (name its file as `ca`)"
        }
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name (use the host name that it was made for)"
        }
        E::InvalidCertificate(CertificateError::Expired | C::ExpiredContext { .. }) => {
            "the server's certificate has expired (renew it, or mend the clock)"
        }
        E::InvalidCertificate(_) => "the server's certificate is not accepted",
        E::AlertReceived(
            A::CertificateRequired
            | A::BadCertificate
            | A::UnknownCA
            | A::CertificateUnknown
            | A::CertificateExpired
            | A::CertificateRevoked
            | A::AccessDenied,
        ) => {
            "the server wants another client certificate (name its files as `certificate` and `key`)"
        }
        E::AlertReceived(A::HandshakeFailure | A::ProtocolVersion) => {
            "the server and we have no way to encrypt in common"
        }
        E::InvalidMessage(_) => {
            "the server does not encrypt on this port (use redis://, or its TLS port)"
        }
        _ => return None,
    })
}
