use std::time::Duration;

use mysql_async::{Opts, OptsBuilder};

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::AppName;

use crate::identifier::Prefix;
use crate::mysql::handler::Handlers;

/// Statements that a connection remembers.
const STATEMENTS_MAX: usize = 256;

/// How to use an application's database on a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose database it is.
    pub application: AppName,
    /// Where it is, and as whom it is used. Its `Debug` hides the password.
    pub server: Server,
    /// What the names of our tables begin with. Empty by default.
    pub prefix: Prefix,
    /// Code that handles events. None by default.
    pub handlers: Handlers,
    /// At most this many connections at a time; who needs another one waits. 4 by default.
    pub connections_max: usize,
    /// How long a statement waits for a lock that somebody else holds, in whole seconds. After that the
    /// whole transaction is given up. 5 s by default.
    pub lock_wait: Duration,
    /// How long the server lets a transaction of ours wait for its next statement, in whole seconds. It
    /// must be shorter than a lease: a process that was stopped must not keep rows from its successor.
    /// 5 s by default. MySQL knows no such thing.
    pub idle_in_transaction: Duration,
}

impl Options {
    /// The database of a URL, `mysql://user:password@host:3306/database`, with everything else at its
    /// default.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when it is no such URL or names no database. The
    /// error does not show it.
    pub fn url(application: AppName, url: &str) -> Result<Self, Error> {
        Ok(Self {
            application,
            server: Server::url(url)?,
            prefix: Prefix::default(),
            handlers: Handlers::default(),
            connections_max: 4,
            lock_wait: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(5),
        })
    }
}

/// A database on a server.
#[derive(Clone)]
pub struct Server(Opts);

impl Server {
    fn url(url: &str) -> Result<Self, Error> {
        let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
        let url = url.replacen("mariadb://", "mysql://", 1);
        let opts = Opts::from_url(&url)
            .map_err(|_| misconfigured("the URL of the database is not one of MariaDB or MySQL"))?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(misconfigured("the URL of the database names no database"));
        }
        Ok(Self(opts))
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

/// Shows where it is; never the password.
impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (host, port) = (self.0.ip_or_hostname(), self.0.tcp_port());
        write!(f, "{host}:{port}/{}", self.0.db_name().unwrap_or_default())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let app = AppName::new("hr").unwrap();
        let options = Options::url(app.clone(), "mysql://hr:hunter2@db:3307/hr").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
        assert_eq!(options.server.to_string(), "db:3307/hr");
        for url in [
            "mysql://hr:hunter2@db:3307/",
            "postgres://hr:hunter2@db/hr",
            "hunter2",
        ] {
            let error = Options::url(app.clone(), url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
