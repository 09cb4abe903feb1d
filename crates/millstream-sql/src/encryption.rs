//! What is wrong with an encrypted connection, and what to do.

use std::error::Error;

use rustls::CertificateError;

/// What to do where a server has no encryption to offer.
pub(crate) const NOT_OFFERED: &str = "the server offers no encryption: turn it on there, or write ?sslmode=disable where nobody else \
     can listen";

/// What to do, if encryption is what an error is about. It is no outage: the next attempt fails as well.
pub(crate) fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(match error {
                rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                    "the server's certificate is of an unknown authority: name the file of its \
                     authority as ca"
                }
                rustls::Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                ) => {
                    "the server's certificate is for another name: write the address that it names"
                }
                rustls::Error::InvalidCertificate(_) => {
                    "the server's certificate is not valid: look at its dates and its authority"
                }
                _ => "the server does not encrypt as it should",
            });
        }
        // An error within an I/O error is not its source, as its own source would be.
        let within = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|within| within as &(dyn Error + 'static));
        next = within.or_else(|| error.source());
    }
    None
}
