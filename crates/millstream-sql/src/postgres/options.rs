use std::time::Duration;

use tokio_postgres::Config;

use millstream_core::name::AppName;

use crate::identifier::Prefix;
use crate::postgres::handler::Handlers;
use crate::postgres::server::Server;

/// Below the shortest lease: an owner that stands still loses its transactions before its leases, and a
/// server that cannot be reached is given up before.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a statement may run, and how long it may wait for a lock, before its transaction is given
/// up and tried again.
const STATEMENT_MAX: Duration = Duration::from_secs(60);
const LOCK_MAX: Duration = Duration::from_secs(10);

/// Connections of a process to one database, unless somebody says otherwise.
const CONNECTIONS_MAX: usize = 8;

/// How to use an application's database.
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
    /// At most this many connections at a time; who needs another one waits. 8 by default.
    pub connections_max: usize,
    /// How long a statement may run before its transaction is given up and tried again. A connection on
    /// which nothing moves for a quarter longer is given up as well: the server stands still, or cannot
    /// be heard. 60 seconds by default.
    pub statement_max: Duration,
    /// Whether whoever writes to the outbox tells the relay, which then need not look for it. False by
    /// default: each writer pays for it. [`migrate`](crate::postgres::migrate) makes or removes the trigger.
    pub notify: bool,
}

impl Options {
    /// The database of an application, with everything else at its default.
    pub fn new(application: AppName, server: Server) -> Self {
        Self {
            application,
            server,
            prefix: Prefix::default(),
            handlers: Handlers::default(),
            connections_max: CONNECTIONS_MAX,
            statement_max: STATEMENT_MAX,
            notify: false,
        }
    }

    /// How long a connection may take to be made, and to be ready.
    pub(super) fn connect_max(&self) -> Duration {
        CONNECT_MAX.min(self.statement_max)
    }

    /// What our sessions are like, whatever the server, the database or the role has set. The user's own
    /// settings come last, and win.
    pub(super) fn session(&self) -> Config {
        session(self.server.config.clone(), self.statement_max)
    }
}

fn session(mut server: Config, statement_max: Duration) -> Config {
    let millis = |time: Duration| time.as_millis().to_string();
    let settings = [
        ("synchronous_commit", "on".into()),
        ("default_transaction_isolation", "read\\ committed".into()),
        ("default_transaction_read_only", "off".into()),
        ("idle_in_transaction_session_timeout", millis(SILENCE_MAX)),
        ("statement_timeout", millis(statement_max)),
        ("lock_timeout", millis(LOCK_MAX)),
        // Texts become values of the application's types, and must mean the same everywhere.
        ("timezone", "UTC".into()),
        ("datestyle", "ISO,YMD".into()),
        ("intervalstyle", "postgres".into()),
        ("standard_conforming_strings", "on".into()),
        ("client_min_messages", "warning".into()),
        // Captured tables leave our changes alone: what we write to them is no news.
        ("millstream.applying", "on".into()),
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
