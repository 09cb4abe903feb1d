use std::fmt;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use millstream_core::error::Error;

use crate::address::{self, Address, misconfigured};

/// Where a database is, as whom it is used, and whom to believe that it is it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    pub(super) config: Config,
    /// A file with the authorities to believe; those of the system otherwise.
    pub(super) authorities: Option<PathBuf>,
}

impl Server {
    /// The database that a URL names: `postgres://user:password@host:port/database?…`.
    ///
    /// A connection over the network is encrypted and the server's certificate is verified, unless
    /// `sslmode=disable` says otherwise; on this machine it is plain, unless `sslmode=require` does.
    /// Everything else is as in
    /// [`tokio_postgres`](https://docs.rs/tokio-postgres/latest/tokio_postgres/config/struct.Config.html).
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured) when the URL cannot be read or
    /// names no database. The error shows nothing of it.
    pub fn url(url: &str) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        // What the parser says may quote the URL.
        let mut config: Config = Some(&address.url)
            .filter(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
            .and_then(|url| url.parse().ok())
            .ok_or_else(|| {
                misconfigured(
                    "the URL cannot be read: it looks like postgres://USER@HOST:5432/DATABASE",
                )
            })?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(misconfigured("the URL of the database names no database"));
        }
        if config.get_hosts().is_empty() {
            return Err(misconfigured("the URL of the database names no host"));
        }
        // It goes to these, whatever the hosts are called.
        let addresses = config.get_hostaddrs();
        let near = config.get_hosts().iter().all(is_near)
            && addresses.iter().all(|address| address.is_loopback());
        config.ssl_mode(match address.is_encrypted(near) {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        Ok(Self {
            config,
            authorities: None,
        })
    }

    /// Uses it as somebody else than the URL says.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.config.user(user);
        self
    }

    /// Says who we are by a password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// Believes the authorities in a file of PEM, and not those of the system.
    #[must_use]
    pub fn authorities(mut self, file: impl AsRef<Path>) -> Self {
        self.authorities = Some(file.as_ref().into());
        self
    }

    /// Whether the URL has a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.config.get_ssl_mode() != SslMode::Disable
    }

    /// Whether both are one database, whoever uses it.
    pub fn is_same_database(&self, other: &Self) -> bool {
        let at = |server: &Self| server.to_string();
        at(self) == at(other)
    }
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => address::is_near(name),
        Host::Unix(_) => true,
    }
}

/// Shows where it is; neither who we are there nor a password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        let ports = self.config.get_ports();
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "{comma}[{name}]:{port}")?,
                Host::Tcp(name) => write!(f, "{comma}{name}:{port}")?,
                Host::Unix(folder) => write!(f, "{comma}{}:{port}", folder.display())?,
            }
            if let Some(address) = self.config.get_hostaddrs().get(at) {
                write!(f, "({address})")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        for (url, expected) in [
            ("postgres://hr@localhost/hr", SslMode::Disable),
            ("postgres://hr@127.0.0.1/hr", SslMode::Disable),
            ("postgresql://hr@db.internal/hr", SslMode::Require),
            (
                "postgres://hr@localhost/hr?hostaddr=127.0.0.1",
                SslMode::Disable,
            ),
            (
                "postgres://hr@localhost/hr?hostaddr=10.0.0.5",
                SslMode::Require,
            ),
            (
                "postgres://hr@localhost,localhost/hr?hostaddr=127.0.0.1,10.0.0.5",
                SslMode::Require,
            ),
            (
                "postgres:///hr?host=/run/postgresql&hostaddr=10.0.0.5",
                SslMode::Require,
            ),
            (
                "postgres://hr@db.internal/hr?sslmode=disable",
                SslMode::Disable,
            ),
            (
                "postgres://hr@localhost/hr?sslmode=verify-full",
                SslMode::Require,
            ),
        ] {
            let server = Server::url(url).unwrap();
            assert_eq!(server.config.get_ssl_mode(), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let server = Server::url("postgres://hr:hunter2@db:5433,[::1]:5434/hr").unwrap();
        assert!(server.has_password());
        assert_eq!(server.to_string(), "postgres://db:5433,[::1]:5434/hr");
        assert_eq!(format!("{server:?}"), server.to_string());
        for bad in [
            "postgres://hr:hunter2@localhost:x/hr",
            "postgres://hr:hunter2@localhost",
            "postgres://hr:hunter2@/hr",
            "mysql://hr:hunter2@localhost/hr",
            "hunter2",
        ] {
            let error = Server::url(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn whoever_uses_it_it_is_the_same_database() {
        let url = |url| Server::url(url).unwrap();
        let one = url("postgres://hr:a@localhost/shop");
        assert!(one.is_same_database(&url("postgres://crm@localhost:5432/shop")));
        assert!(!one.is_same_database(&url("postgres://hr:a@localhost/other")));
        let elsewhere = url("postgres://hr:a@localhost/shop?hostaddr=10.0.0.5");
        assert!(!one.is_same_database(&elsewhere));
        assert_eq!(
            elsewhere.to_string(),
            "postgres://localhost:5432(10.0.0.5)/shop"
        );
        assert!(!one.is_same_database(&url("postgres://hr:a@localhost:5433/shop")));
    }
}
