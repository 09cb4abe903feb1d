use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::AppName;

use crate::identifier::Prefix;
use crate::postgres::handler::Handlers;

/// Below the shortest lease: an owner that stands still loses its transactions before its leases, and a
/// server that cannot be reached is given up before.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long a statement may run, and how long it may wait for a lock, before its transaction is given
/// up and tried again.
const STATEMENT_MAX: Duration = Duration::from_secs(60);
const LOCK_MAX: Duration = Duration::from_secs(10);

/// Connections of a process to one database, unless somebody says otherwise.
const CONNECTIONS_MAX: usize = 8;

/// How to use an application's database.
#[derive(Clone)]
pub struct Options {
    /// Whose database it is.
    pub application: AppName,
    /// What the names of our tables begin with. Empty by default.
    pub prefix: Prefix,
    /// Code that handles events. None by default.
    pub handlers: Handlers,
    /// How many connections a process holds at most. 8 by default.
    pub connections_max: usize,
    pub(super) server: Config,
    /// A file with the authorities to believe; those of the system otherwise.
    pub(super) authorities: Option<PathBuf>,
}

impl Options {
    /// The database that a URL names: `postgres://user:password@host:port/database?…`.
    ///
    /// A connection over the network is encrypted and the server's certificate is verified, unless
    /// `sslmode=disable` says otherwise; on this machine it is plain, unless `sslmode=require` does.
    /// `sslrootcert=FILE` names the authorities to believe, `password_file=FILE` a file that holds
    /// nothing but the password. Everything else is as in
    /// [`tokio_postgres`](https://docs.rs/tokio-postgres/latest/tokio_postgres/config/struct.Config.html).
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when the URL cannot be read or a file is missing.
    /// The error shows neither the URL nor the password.
    pub fn url(application: AppName, url: &str) -> Result<Self, Error> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut kept = Vec::new();
        let mut encrypted = None;
        let mut authorities = None;
        let mut password = None;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("sslmode", "disable")) => encrypted = Some(false),
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => {
                    encrypted = Some(true)
                }
                Some(("sslmode", _)) => {
                    return Err(misconfigured("sslmode is disable, or require".into()));
                }
                Some(("sslrootcert", file)) => authorities = Some(PathBuf::from(file)),
                Some(("password_file", file)) => password = Some(read(Path::new(file))?),
                _ => kept.push(part),
            }
        }
        let url = format!("{base}?{}", kept.join("&"));
        // What the parser says may quote the URL.
        let mut server: Config = url
            .parse()
            .map_err(|_| misconfigured("the database URL cannot be read".into()))?;
        if let Some(password) = password {
            server.password(password.trim_end_matches(['\r', '\n']));
        }
        let near = server.get_hosts().iter().all(is_near);
        server.ssl_mode(match encrypted.unwrap_or(!near) {
            true => SslMode::Require,
            false => SslMode::Disable,
        });
        Ok(Self {
            application,
            prefix: Prefix::default(),
            handlers: Handlers::default(),
            connections_max: CONNECTIONS_MAX,
            server: session(server),
            authorities,
        })
    }
}

/// Neither the password nor anything else of the URL.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("application", &self.application)
            .field("prefix", &self.prefix)
            .field("handlers", &self.handlers)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// What our sessions are like, whatever the server, the database or the role has set. The user's own
/// settings come last, and win.
fn session(mut server: Config) -> Config {
    let millis = |time: Duration| time.as_millis().to_string();
    let settings = [
        ("synchronous_commit", "on".into()),
        ("default_transaction_isolation", "read\\ committed".into()),
        ("default_transaction_read_only", "off".into()),
        ("idle_in_transaction_session_timeout", millis(SILENCE_MAX)),
        ("statement_timeout", millis(STATEMENT_MAX)),
        ("lock_timeout", millis(LOCK_MAX)),
        // Texts become values of the application's types, and must mean the same everywhere.
        ("timezone", "UTC".into()),
        ("datestyle", "ISO,YMD".into()),
        ("intervalstyle", "postgres".into()),
        ("standard_conforming_strings", "on".into()),
        ("client_min_messages", "warning".into()),
    ];
    let mut options: Vec<String> = settings
        .into_iter()
        .map(|(name, value): (&str, String)| format!("-c {name}={value}"))
        .collect();
    options.extend(server.get_options().map(ToOwned::to_owned));
    server.options(options.join(" "));
    if server.get_application_name().is_none() {
        server.application_name("millstream");
    }
    if server.get_connect_timeout().is_none() {
        server.connect_timeout(SILENCE_MAX);
    }
    if server.get_tcp_user_timeout().is_none() {
        server.tcp_user_timeout(SILENCE_MAX);
    }
    server
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn read(file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file)
        .map_err(|error| misconfigured(format!("password file {}: {error}", file.display())))
}

fn misconfigured(text: String) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> Result<Options, Error> {
        Options::url(AppName::new("hr").unwrap(), url)
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        for (url, expected) in [
            ("postgres://hr@localhost/hr", SslMode::Disable),
            ("postgres://hr@127.0.0.1/hr", SslMode::Disable),
            ("postgres://hr@db.internal/hr", SslMode::Require),
            (
                "postgres://hr@db.internal/hr?sslmode=disable",
                SslMode::Disable,
            ),
            (
                "postgres://hr@localhost/hr?sslmode=verify-full",
                SslMode::Require,
            ),
        ] {
            assert_eq!(
                options(url).unwrap().server.get_ssl_mode(),
                expected,
                "{url}"
            );
        }
        assert!(options("postgres://hr@localhost/hr?sslmode=prefer").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let url = format!(
            "postgres://hr@localhost/hr?password_file={}",
            file.display()
        );
        let read = options(&url).unwrap();
        assert_eq!(read.server.get_password(), Some(&b"hunter2"[..]));
        for shown in [
            format!("{read:?}"),
            format!("{:?}", options("postgres://hr:hunter2@localhost/hr")),
            format!("{:?}", options("postgres://hr:hunter2@localhost:x/hr")),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
