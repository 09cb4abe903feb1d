use std::time::Duration;

use millstream_core::name::AppName;

use crate::identifier::Prefix;
use crate::mysql::handler::Handlers;
use crate::mysql::server::Server;

/// How long a connection may take to be made.
const CONNECT_MAX: Duration = Duration::from_secs(10);

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
    /// At most this many connections at a time; who needs another one waits. 8 by default.
    pub connections_max: usize,
    /// How long a statement may take until its answer is there; after that the whole transaction is given
    /// up, and tried again. Far above what a batch needs: 60 s by default.
    pub statement_max: Duration,
    /// How long a statement waits for a lock that somebody else holds, in whole seconds. After that the
    /// whole transaction is given up. 5 s by default.
    pub lock_wait: Duration,
    /// How long the server lets a transaction of ours wait for its next statement, in whole seconds. It
    /// must be shorter than a lease: a process that was stopped must not keep rows from its successor.
    /// 5 s by default. MySQL knows no such thing.
    pub idle_in_transaction: Duration,
}

impl Options {
    /// The database of an application, with everything else at its default.
    pub fn new(application: AppName, server: Server) -> Self {
        Self {
            application,
            server,
            prefix: Prefix::default(),
            handlers: Handlers::default(),
            connections_max: 8,
            statement_max: Duration::from_secs(60),
            lock_wait: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(5),
        }
    }

    /// How long a connection may take to be made, and to be ready.
    pub(super) fn connect_max(&self) -> Duration {
        CONNECT_MAX.min(self.statement_max)
    }
}
