use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Address {
    Tcp { host: Arc<str>, port: u16 },
    Unix(PathBuf),
}

impl Address {
    pub(super) fn tcp(host: impl AsRef<str>, port: u16) -> Self {
        Self::Tcp {
            host: host.as_ref().into(),
            port,
        }
    }

    /// Reads `host`, `host:port`, `[::1]` and `[::1]:port`.
    pub(super) fn parse(text: &str, port: u16) -> Option<Self> {
        let (host, rest) = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if rest.is_empty() => port,
            None => return None,
        };
        (!host.is_empty()).then(|| Self::tcp(host, port))
    }

    /// Reads `host:port` as servers write it, where the last colon is the one before the port.
    pub(super) fn parse_redirect(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        (!host.is_empty()).then_some(())?;
        Some(Self::tcp(host, port.parse().ok()?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (text, expected) in [
            ("db", Some("db:6379")),
            ("db:7000", Some("db:7000")),
            ("10.0.0.1:1", Some("10.0.0.1:1")),
            ("[::1]", Some("[::1]:6379")),
            ("[::1]:7000", Some("[::1]:7000")),
            ("", None),
            (":7000", None),
            ("db:", None),
            ("db:70000", None),
            ("[::1", None),
            ("[::1]7", None),
        ] {
            let parsed = Address::parse(text, 6379).map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text:?}");
        }
        let redirect = Address::parse_redirect("2001:db8::1:7000");
        assert_eq!(redirect, Some(Address::tcp("2001:db8::1", 7000)));
        assert_eq!(Address::parse_redirect(":7000"), None);
    }
}
