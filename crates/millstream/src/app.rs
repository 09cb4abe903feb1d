use std::sync::Arc;
use std::time::Duration;

use millstream_core::capture::Source;
use millstream_core::clock::SystemClock;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::limits::SHARDS_MAX;
use millstream_core::mapping::Spec;
use millstream_core::name::{self, AppName, StreamName};
use millstream_engine::consumer::{self, Consumer};
use millstream_engine::relay::{self, Relay, StreamOptions};
use millstream_engine::{Transport, publisher};
use millstream_sql::identifier::Prefix;
#[cfg(feature = "mysql")]
use millstream_sql::mysql;
#[cfg(feature = "postgres")]
use millstream_sql::postgres;
use millstream_sql::{Migration, sqlite};

use crate::config::{self, InvalidDatabase};
use crate::database::Database;
use crate::handlers::Handlers;

/// Shards of a stream that nobody configured.
pub(crate) const SHARDS_DEFAULT: u16 = 4;

/// One application: its database, what it publishes, and how it follows the others.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) name: AppName,
    pub(crate) database: config::Database,
    pub(crate) connections: Option<usize>,
    pub(crate) notify: bool,
    pub(crate) prefix: Prefix,
    pub(crate) publishes: Vec<StreamOptions>,
    pub(crate) subscribes: Vec<StreamName>,
    pub(crate) mappings: Vec<Spec>,
    pub(crate) sources: Vec<Source>,
    pub(crate) handlers: Handlers,
    pub(crate) lease: Option<Duration>,
    pub(crate) conflict_deadline: Option<Duration>,
    pub(crate) stuck_after: Option<Duration>,
    pub(crate) inbox_retention: Option<Duration>,
    pub(crate) batch_max: Option<usize>,
    pub(crate) take_over: bool,
    pub(crate) parallel: bool,
    pub(crate) claim_idle: Option<Duration>,
    pub(crate) from_oldest: bool,
    pub(crate) begin_generation: bool,
}

/// A name or an address that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name of an application or a stream.
    #[error(transparent)]
    Name(#[from] name::Error),
    /// The address of a database.
    #[error(transparent)]
    Database(#[from] InvalidDatabase),
}

impl App {
    /// An application and its database, such as `sqlite:hr.db`, `postgres://hr@localhost/hr` or
    /// `mysql://hr@localhost/hr`, the latter two with the features `postgres` and `mysql`.
    ///
    /// # Errors
    ///
    /// Fails when the name or the address is not valid. Nothing is opened yet.
    pub fn new(name: &str, database: &str) -> Result<Self, InvalidName> {
        Ok(Self {
            name: AppName::new(name)?,
            database: config::Database::parse(database)?,
            connections: None,
            notify: false,
            prefix: Prefix::default(),
            publishes: Vec::new(),
            subscribes: Vec::new(),
            mappings: Vec::new(),
            sources: Vec::new(),
            handlers: Handlers::default(),
            lease: None,
            conflict_deadline: None,
            stuck_after: None,
            inbox_retention: None,
            batch_max: None,
            take_over: false,
            parallel: false,
            claim_idle: None,
            from_oldest: false,
            begin_generation: false,
        })
    }

    /// Adds a stream to publish to, with four shards. Events that name no stream go to the first.
    ///
    /// # Errors
    ///
    /// Fails when the name is not valid.
    pub fn publish_to(self, stream: &str) -> Result<Self, InvalidName> {
        self.publish_to_shards(stream, SHARDS_DEFAULT)
    }

    /// Adds a stream to publish to. The number of shards is fixed once the stream is in use.
    ///
    /// # Errors
    ///
    /// Fails when the name is not valid.
    pub fn publish_to_shards(self, stream: &str, shards: u16) -> Result<Self, InvalidName> {
        let name = StreamName::new(stream)?;
        Ok(self.publish_to_stream(StreamOptions::new(name, shards)))
    }

    /// Adds a stream to publish to, kept as the options say.
    #[must_use]
    pub fn publish_to_stream(mut self, stream: StreamOptions) -> Self {
        let shards = stream.shards.clamp(1, SHARDS_MAX);
        self.publishes.push(StreamOptions { shards, ..stream });
        self
    }

    /// Adds a stream to follow.
    ///
    /// # Errors
    ///
    /// Fails when the name is not valid.
    pub fn subscribe(mut self, stream: &str) -> Result<Self, InvalidName> {
        self.subscribes.push(StreamName::new(stream)?);
        Ok(self)
    }

    /// Adds a mapping: which events change which rows.
    #[must_use]
    pub fn map(mut self, mapping: Spec) -> Self {
        self.mappings.push(mapping);
        self
    }

    /// Adds a source: which rows of its own its events describe.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Adds code that handles events of a type, with the transaction of an SQLite database open.
    #[must_use]
    pub fn on(mut self, event_type: &str, handler: impl sqlite::Handler + 'static) -> Self {
        self.handlers.sqlite = self.handlers.sqlite.on(event_type, handler);
        self
    }

    /// Adds code that handles events of a type, with the transaction of a PostgreSQL database open.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn on_postgres(
        mut self,
        event_type: &str,
        handler: impl postgres::Handler + 'static,
    ) -> Self {
        self.handlers.postgres = self.handlers.postgres.on(event_type, handler);
        self
    }

    /// Adds code that handles events of a type, with the transaction of a MariaDB or MySQL database
    /// open.
    #[cfg(feature = "mysql")]
    #[must_use]
    pub fn on_mysql(mut self, event_type: &str, handler: impl mysql::Handler + 'static) -> Self {
        self.handlers.mysql = self.handlers.mysql.on(event_type, handler);
        self
    }

    /// Sets what the names of our tables in its database begin with. Nothing by default.
    #[must_use]
    pub fn table_prefix(mut self, prefix: Prefix) -> Self {
        self.prefix = prefix;
        self
    }

    /// Sets how many connections to a server each of relay and consumer may have. 8 by default; a file
    /// knows none.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Has whoever writes to an outbox on PostgreSQL tell the relay, which then need not look for it. Each
    /// writer pays for that; [`migrate`](Self::migrate) puts it into effect. Other databases know no such
    /// thing.
    #[must_use]
    pub fn notify(mut self, notify: bool) -> Self {
        self.notify = notify;
        self
    }

    /// Sets how long an instance may be silent before others take over. 10 s by default.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets how long an event that conflicts with other rows, because its parent is missing or a value
    /// is taken, is tried again before it is dead. An hour by default.
    #[must_use]
    pub fn conflict_deadline(mut self, deadline: Duration) -> Self {
        self.conflict_deadline = Some(deadline);
        self
    }

    /// Sets how long a batch may fail while the database works, until the event is looked for that stands in
    /// the way of the others, such as one whose row somebody else has locked. 30 s by default.
    ///
    /// The others are applied then, but for those of its key, and it is tried again until it goes.
    #[must_use]
    pub fn stuck_after(mut self, time: Duration) -> Self {
        self.stuck_after = Some(time);
        self
    }

    /// Sets how long settled events stay in the inbox. 37 days by default.
    ///
    /// They stay for longer if they may come again. What is published to the shared stream once more after that
    /// is taken for news, and what an event of longer ago has come to is not known any more.
    #[must_use]
    pub fn inbox_retention(mut self, retention: Duration) -> Self {
        self.inbox_retention = Some(retention);
        self
    }

    /// Takes the group from another database that holds it: for a database that was made anew.
    #[must_use]
    pub fn take_over(mut self, take_over: bool) -> Self {
        self.take_over = take_over;
        self
    }

    /// Lets the instances of the application compete for shared streams, without order between them.
    /// Otherwise one at a time works on each, in order. Owned streams stay in order either way.
    #[must_use]
    pub fn parallel(mut self, parallel: bool) -> Self {
        self.parallel = parallel;
        self
    }

    /// Sets how long a competing instance may hold an entry before others take it over. 30 s by
    /// default.
    #[must_use]
    pub fn claim_idle(mut self, claim_idle: Duration) -> Self {
        self.claim_idle = Some(claim_idle);
        self
    }

    /// Follows streams whose beginning is gone from what there is: for an application that can do
    /// without what came before, or has filled its tables otherwise.
    #[must_use]
    pub fn from_oldest(mut self, from_oldest: bool) -> Self {
        self.from_oldest = from_oldest;
        self
    }

    /// Begins a new generation of streams whose followers know more than this database does, which
    /// was restored or failed over. What some follower has not settled is sent again; what only the
    /// lost database knew stays with those who have it.
    #[must_use]
    pub fn begin_generation(mut self, begin_generation: bool) -> Self {
        self.begin_generation = begin_generation;
        self
    }

    /// Sets how long events are kept at least in all streams that it publishes, and how many of each
    /// shard that everybody has settled. 7 days and 1,000 by default.
    #[must_use]
    pub fn keep(mut self, retention: Duration, replay_margin: u64) -> Self {
        for stream in &mut self.publishes {
            stream.retention = retention;
            stream.replay_margin = replay_margin;
        }
        self
    }

    /// The application's name.
    pub fn name(&self) -> &AppName {
        &self.name
    }

    /// Where its database is.
    pub fn location(&self) -> &config::Database {
        &self.database
    }

    /// The streams that it publishes to.
    pub fn publishes(&self) -> &[StreamOptions] {
        &self.publishes
    }

    /// The streams that it follows.
    pub fn subscribes(&self) -> &[StreamName] {
        &self.subscribes
    }

    /// How events become its rows.
    pub fn mappings(&self) -> &[Spec] {
        &self.mappings
    }

    /// Which rows of its own its events describe.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Its database. Nothing is opened until it is needed.
    pub fn database(&self) -> Arc<dyn Database> {
        match &self.database {
            config::Database::Sqlite(path) => self.sqlite(millstream_sqlite::Options::file(path)),
            config::Database::Memory => self.sqlite(millstream_sqlite::Options::memory()),
            #[cfg(feature = "postgres")]
            config::Database::Postgres(server) => {
                Arc::new(postgres::Database::new(self.postgres(server)))
            }
            #[cfg(feature = "mysql")]
            config::Database::MySql(server) => Arc::new(mysql::Database::new(self.mysql(server))),
        }
    }

    fn sqlite(&self, options: millstream_sqlite::Options) -> Arc<dyn Database> {
        Arc::new(sqlite::Database::new(sqlite::Options {
            application: self.name.clone(),
            sqlite: options,
            prefix: self.prefix.clone(),
            handlers: self.handlers.sqlite.clone(),
        }))
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn postgres(&self, server: &postgres::Server) -> postgres::Options {
        let defaults = postgres::Options::new(self.name.clone(), server.clone());
        postgres::Options {
            prefix: self.prefix.clone(),
            handlers: self.handlers.postgres.clone(),
            connections_max: self.connections.unwrap_or(defaults.connections_max),
            notify: self.notify,
            ..defaults
        }
    }

    #[cfg(feature = "mysql")]
    fn mysql(&self, server: &mysql::Server) -> mysql::Options {
        let defaults = mysql::Options::new(self.name.clone(), server.clone());
        mysql::Options {
            prefix: self.prefix.clone(),
            handlers: self.handlers.mysql.clone(),
            connections_max: self.connections.unwrap_or(defaults.connections_max),
            ..defaults
        }
    }

    /// Makes our tables in its database, or brings them up to date. Makes an SQLite file where it is
    /// missing; a database on a server must be there. Safe to repeat, and to interrupt.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when the database belongs to another application.
    pub async fn migrate(&self) -> Result<Migration, Error> {
        let stream = self.publishes.first().map(|stream| stream.name.clone());
        let sqlite = match &self.database {
            config::Database::Sqlite(path) => millstream_sqlite::Options::file(path),
            config::Database::Memory => millstream_sqlite::Options::memory(),
            #[cfg(feature = "postgres")]
            config::Database::Postgres(server) => {
                return postgres::migrate(&self.postgres(server), stream.as_ref()).await;
            }
            #[cfg(feature = "mysql")]
            config::Database::MySql(server) => {
                return mysql::migrate(&self.mysql(server), stream.as_ref()).await;
            }
        };
        let (name, prefix) = (self.name.clone(), self.prefix.clone());
        millstream_sqlite::Connection::start(sqlite.create(true))
            .call(move |db| sqlite::migrate(db, &name, &prefix, stream.as_ref()))
            .await
    }

    /// The statements that [`migrate`](Self::migrate) would run.
    ///
    /// # Errors
    ///
    /// As [`migrate`](Self::migrate).
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        let sqlite = match &self.database {
            config::Database::Sqlite(path) => millstream_sqlite::Options::file(path),
            config::Database::Memory => millstream_sqlite::Options::memory(),
            #[cfg(feature = "postgres")]
            config::Database::Postgres(server) => {
                return postgres::pending(&self.postgres(server)).await;
            }
            #[cfg(feature = "mysql")]
            config::Database::MySql(server) => return mysql::pending(&self.mysql(server)).await,
        };
        let prefix = self.prefix.clone();
        let connection = millstream_sqlite::Connection::start(sqlite.create(false));
        match connection
            .call(move |db| sqlite::pending(db, &prefix))
            .await
        {
            // No file yet: everything is pending.
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let empty = millstream_sqlite::Options::memory().open()?;
                sqlite::pending(&empty, &self.prefix)
            }
            result => result,
        }
    }

    /// Whether whoever writes to its outbox tells the relay, as [`migrate`](Self::migrate) has last put
    /// [`notify`](Self::notify) into effect. False on databases that know no such thing.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
    pub async fn notifies(&self) -> Result<bool, Error> {
        #[cfg(feature = "postgres")]
        if let config::Database::Postgres(server) = &self.database {
            return postgres::notifies(&self.postgres(server)).await;
        }
        Ok(false)
    }

    /// The part that applies what arrives.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](ErrorKind::Misconfigured) when there is a handler for another kind of database,
    /// and none for this one.
    pub fn consumer(&self, transport: &Transport) -> Result<Consumer, Error> {
        self.handlers.check(&self.database)?;
        let defaults = consumer::Options::new(self.name.clone());
        let options = consumer::Options {
            subscribes: self.subscribes.clone(),
            mappings: self.mappings.clone(),
            lease: self.lease.unwrap_or(defaults.lease),
            batch_max: self.batch_max.unwrap_or(defaults.batch_max),
            take_over: self.take_over,
            parallel: if self.parallel {
                self.subscribes.clone()
            } else {
                Vec::new()
            },
            claim_idle: self.claim_idle.unwrap_or(defaults.claim_idle),
            conflict_deadline: self.conflict_deadline.unwrap_or(defaults.conflict_deadline),
            stuck_after: self.stuck_after.unwrap_or(defaults.stuck_after),
            inbox_retention: self.inbox_retention.unwrap_or(defaults.inbox_retention),
            from_oldest: self.from_oldest,
            ..defaults
        };
        Ok(Consumer::new(
            self.database(),
            transport.clone(),
            Arc::new(SystemClock),
            options,
        ))
    }

    /// The part that sends its outbox.
    pub fn relay(&self, transport: &Transport) -> Relay {
        let defaults = relay::Options::new(self.name.clone());
        let options = relay::Options {
            publishes: self.publishes.clone(),
            lease: self.lease.unwrap_or(defaults.lease),
            begin_generation: self.begin_generation,
            ..defaults
        };
        Relay::new(
            self.database(),
            transport.log.clone(),
            Arc::new(SystemClock),
            options,
        )
    }

    /// For events that go past the outbox, to the shared stream.
    pub fn direct(&self, transport: &Transport) -> publisher::Direct {
        publisher::Direct::new(
            transport.queue.clone(),
            Arc::new(SystemClock),
            self.name.clone(),
        )
    }
}
