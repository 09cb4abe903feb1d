//! What the URLs of servers have in common.

use std::net::IpAddr;

use millstream_core::error::{Error, ErrorKind};

/// A URL for a driver, and what it says of encryption, which drivers spell differently.
#[derive(Debug)]
pub(crate) struct Address {
    /// The URL without that.
    pub(crate) url: String,
    /// Whether connections are encrypted and the server's certificate verified; where nothing is said,
    /// those that leave the machine are.
    encrypted: Option<bool>,
}

impl Address {
    /// Takes `sslmode` out of a URL.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when it is none that we can keep. Nothing of the URL is
    /// shown.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut encrypted = None;
        let mut kept = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sslmode", "disable")) => encrypted = Some(false),
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => {
                    encrypted = Some(true);
                }
                Some(("sslmode", _)) => {
                    return Err(misconfigured(
                        "sslmode is disable or require: the certificate is verified then",
                    ));
                }
                Some(("sslrootcert", _)) => {
                    return Err(misconfigured(
                        "the authorities are not part of the URL: leave sslrootcert out, and name the \
                         file as ca",
                    ));
                }
                _ => kept.push(part),
            }
        }
        let url = match kept.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", kept.join("&")),
        };
        Ok(Self { url, encrypted })
    }

    /// Whether connections to this host are encrypted.
    pub(crate) fn is_encrypted(&self, is_near: bool) -> bool {
        self.encrypted.unwrap_or(!is_near)
    }
}

/// Whether a host is this machine.
pub(crate) fn is_near(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

pub(crate) fn misconfigured(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_taken_out_of_a_url() {
        for (url, left, near, far) in [
            ("postgres://hr@db/hr", "postgres://hr@db/hr", false, true),
            (
                "mysql://db/hr?sslmode=disable",
                "mysql://db/hr",
                false,
                false,
            ),
            (
                "mysql://db/hr?sslmode=verify-full&a=b",
                "mysql://db/hr?a=b",
                true,
                true,
            ),
            (
                "mysql://db/hr?a=b&sslmode=require",
                "mysql://db/hr?a=b",
                true,
                true,
            ),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.url, left);
            assert_eq!(address.is_encrypted(true), near, "{url}");
            assert_eq!(address.is_encrypted(false), far, "{url}");
        }
        for url in [
            "mysql://db/hr?sslmode=prefer",
            "mysql://db/hr?sslrootcert=a",
        ] {
            Address::parse(url).unwrap_err();
        }
    }

    #[test]
    fn this_machine_is_near() {
        for near in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["db", "10.0.0.1", "localhost.example.com", "::2"] {
            assert!(!is_near(far), "{far}");
        }
    }
}
