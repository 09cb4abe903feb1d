use std::fmt;
use std::path::Path;
use std::time::Duration;

use mysql_async::{Opts, OptsBuilder, SslOpts};

use millstream_core::error::Error;

use crate::address::{Address, is_near, misconfigured};

/// Statements that a connection remembers.
const STATEMENTS_MAX: usize = 256;

/// Where a database is, as whom it is used, and whom to believe that it is it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server(Opts);

impl Server {
    /// The database that a URL names: `mysql://user:password@host:port/database`, or `mariadb://`.
    ///
    /// A connection over the network is encrypted and the server's certificate is verified, unless
    /// `sslmode=disable` says otherwise; on this machine it is plain, unless `sslmode=require` does.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured) when the URL cannot be read or
    /// names no database. The error shows nothing of it.
    pub fn url(url: &str) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        let url = address.url.replacen("mariadb://", "mysql://", 1);
        // What the parser says may quote the URL.
        let opts = Opts::from_url(&url).map_err(|_| {
            misconfigured("the URL cannot be read: it looks like mysql://USER@HOST:3306/DATABASE")
        })?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(misconfigured("the URL of the database names no database"));
        }
        let ssl = address
            .is_encrypted(is_near(opts.ip_or_hostname()))
            .then(SslOpts::default);
        Ok(Self(OptsBuilder::from_opts(opts).ssl_opts(ssl).into()))
    }

    /// Uses it as somebody else than the URL says.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.change(|opts| opts.user(Some(user)))
    }

    /// Says who we are by a password.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        self.change(|opts| opts.pass(Some(password)))
    }

    /// Believes the authorities in a file of PEM, and no others.
    #[must_use]
    pub fn authorities(self, file: impl AsRef<Path>) -> Self {
        let file = file.as_ref().to_owned();
        self.change(|opts| {
            let ssl = SslOpts::default()
                .with_root_certs(vec![file.into()])
                .with_disable_built_in_roots(true);
            opts.ssl_opts(ssl)
        })
    }

    fn change(self, change: impl FnOnce(OptsBuilder) -> OptsBuilder) -> Self {
        Self(change(OptsBuilder::from_opts(self.0)).into())
    }

    /// Whether the URL has a password.
    pub fn has_password(&self) -> bool {
        self.0.pass().is_some_and(|password| !password.is_empty())
    }

    /// Whether connections are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.ssl_opts().is_some()
    }

    /// Whether both are one database, whoever uses it.
    pub fn is_same_database(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }

    /// What the driver needs to connect: rows count as changed when they are found, whether or not a
    /// statement changes anything in them.
    pub(super) fn opts(&self) -> Opts {
        OptsBuilder::from_opts(self.0.clone())
            .client_found_rows(true)
            .prefer_socket(false)
            .stmt_cache_size(STATEMENTS_MAX)
            .tcp_keepalive(Some(Duration::from_secs(10)))
            .into()
    }
}

/// Shows where it is; neither who we are there nor a password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.0.ip_or_hostname(), self.0.tcp_port());
        let database = self.0.db_name().unwrap_or_default();
        match self.0.socket() {
            Some(socket) => write!(f, "mysql://{socket}/{database}"),
            None => write!(f, "mysql://{host}:{port}/{database}"),
        }
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
    fn a_password_is_never_shown() {
        let server = Server::url("mysql://hr:hunter2@db:3307/hr").unwrap();
        assert!(server.has_password());
        assert!(!format!("{server:?}").contains("hunter2"));
        assert_eq!(server.to_string(), "mysql://db:3307/hr");
        for url in [
            "mysql://hr:hunter2@db:3307/",
            "mysql://hr:hunter2@db:port/hr",
            "postgres://hr:hunter2@db/hr",
            "hunter2",
        ] {
            let error = Server::url(url).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        for (url, expected) in [
            ("mysql://hr@localhost/hr", false),
            ("mariadb://hr@127.0.0.1/hr", false),
            ("mariadb://hr@db.internal/hr", true),
            ("mysql://hr@db.internal/hr?sslmode=disable", false),
            ("mysql://hr@localhost/hr?sslmode=require", true),
        ] {
            assert_eq!(Server::url(url).unwrap().is_encrypted(), expected, "{url}");
        }
    }
}
