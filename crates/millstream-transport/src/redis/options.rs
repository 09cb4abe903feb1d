use std::fmt;
use std::path::PathBuf;

use millstream_core::error::Error;

use super::address::Address;
use super::secret::Secret;
use super::url;

/// Where Redis or Valkey is, and how it is reached.
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) servers: Servers,
    pub(super) tls: Option<Tls>,
    pub(super) credentials: Credentials,
    pub(super) sentinel_credentials: Credentials,
    pub(super) database: u32,
    pub(super) protocol: Protocol,
    pub(super) client_name: String,
}

/// Who answers for the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Servers {
    Single(Address),
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
    },
    Cluster(Vec<Address>),
}

/// The form of replies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every server, proxy and restricted user can do. The default: replies that are read here
    /// are no smaller or faster in the other.
    #[default]
    Resp2,
    /// The form that came with Redis 6. Needs the right to say `HELLO`.
    Resp3,
}

/// Who we say we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// Files for an encrypted connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) authorities: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Options {
    /// Reads a URL.
    ///
    /// | form | what it names |
    /// |---|---|
    /// | `redis://host:port/0` | one server |
    /// | `redis+unix:///path/to/socket` | one server on this machine |
    /// | `redis+sentinel://host:port,host:port/name` | the master of that name |
    /// | `redis+cluster://host:port,host:port` | a Cluster, by some of its nodes |
    ///
    /// With `rediss` instead of `redis` the connection is encrypted, and the server's certificate must
    /// be good for the host that is named. `user:password@` stands before the hosts, each part
    /// percent-encoded. After a question mark may follow `protocol=resp2` or `resp3`, `db`, `ca`,
    /// `certificate`, `key` (files) and `client_name`.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured), in words that repeat
    /// neither the URL nor the password.
    pub fn parse(url: &str) -> Result<Self, Error> {
        url::parse(url)
    }

    pub(super) fn new(servers: Servers, tls: Option<Tls>) -> Self {
        Self {
            servers,
            tls,
            credentials: Credentials::default(),
            sentinel_credentials: Credentials::default(),
            database: 0,
            protocol: Protocol::default(),
            client_name: "millstream".into(),
        }
    }

    /// Sets the user. The server's `default` user otherwise.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.credentials.user = Some(user.into());
        self
    }

    /// Sets the password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.credentials.password = Some(Secret::new(password));
        self
    }

    /// Sets how the sentinels themselves are spoken to. Without a password otherwise.
    #[must_use]
    pub fn sentinel_credentials(
        mut self,
        user: Option<String>,
        password: impl Into<String>,
    ) -> Self {
        self.sentinel_credentials = Credentials {
            user,
            password: Some(Secret::new(password)),
        };
        self
    }

    /// Encrypts the connection, and accepts certificates of the authorities in this PEM file only.
    /// Without it those of the system are accepted.
    #[must_use]
    pub fn authorities(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.get_or_insert_default().authorities = Some(file.into());
        self
    }

    /// Encrypts the connection, and shows the server this certificate, both PEM files.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        let tls = self.tls.get_or_insert_default();
        tls.certificate = Some(certificate.into());
        tls.key = Some(key.into());
        self
    }

    /// Sets the number of the database. 0 by default; a Cluster has no other.
    #[must_use]
    pub fn database(mut self, database: u32) -> Self {
        self.database = database;
        self
    }

    /// Sets the form of replies. [`Protocol::Resp2`] by default.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets how connections show in `CLIENT LIST`. `millstream` by default; what a name cannot hold
    /// there becomes `-`.
    #[must_use]
    pub fn client_name(mut self, name: &str) -> Self {
        self.client_name = name
            .chars()
            .map(|c| if c.is_ascii_graphic() { c } else { '-' })
            .collect();
        self
    }
}

/// The URL without what is secret.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() {
            "rediss"
        } else {
            "redis"
        };
        let (kind, addresses, path) = match &self.servers {
            Servers::Single(address @ Address::Unix(_)) => {
                return write!(f, "redis+unix://{address}");
            }
            Servers::Single(address) => ("", std::slice::from_ref(address), None),
            Servers::Sentinel { sentinels, master } => {
                ("+sentinel", sentinels.as_slice(), Some(master))
            }
            Servers::Cluster(seeds) => ("+cluster", seeds.as_slice(), None),
        };
        write!(f, "{scheme}{kind}://")?;
        for (number, address) in addresses.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{address}")?;
        }
        if let Some(path) = path {
            write!(f, "/{path}")?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}
