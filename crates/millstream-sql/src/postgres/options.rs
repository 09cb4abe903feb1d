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

    /// How long nothing may move on a connection: the server gives up a statement before. `patience` where
    /// the user's own settings let statements take as long as they like.
    pub(super) fn silence_max(&self, patience: Duration) -> Duration {
        let own = self.server.config.get_options().and_then(statement_timeout);
        match own.unwrap_or(self.statement_max) {
            Duration::ZERO => patience,
            time => time.mul_f32(1.25).min(patience.max(time)),
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

/// What options of a session say of the time that a statement may take; the last word counts.
fn statement_timeout(options: &str) -> Option<Duration> {
    let (_, value) = options.rsplit_once("statement_timeout=")?;
    let value = value.split_whitespace().next()?;
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = value[..digits].parse().ok()?;
    // As PostgreSQL reads it: milliseconds, unless a unit says otherwise.
    let millis = match &value[digits..] {
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 1,
    };
    Some(Duration::from_millis(number.saturating_mul(millis)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_be_silent_for_as_long_as_a_statement_may_take() {
        const PATIENCE: Duration = Duration::from_secs(3_600);
        for (query, seconds) in [
            ("", 75),
            ("?options=-c%20lock_timeout%3D100", 75),
            ("?options=-c%20statement_timeout%3D300000", 375),
            ("?options=-c%20statement_timeout%3D4min%20-c%20a%3D1", 300),
            (
                "?options=-cstatement_timeout%3D1s%20-cstatement_timeout%3D0",
                3_600,
            ),
        ] {
            let url = format!("postgres://hr@localhost/hr{query}");
            let server = Server::url(&url).unwrap();
            let options = Options::new(AppName::new("hr").unwrap(), server);
            let silence = options.silence_max(PATIENCE);
            assert_eq!(silence, Duration::from_secs(seconds), "{query}");
        }
    }
}
