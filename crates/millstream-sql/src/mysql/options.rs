use std::time::Duration;

use millstream_core::name::AppName;

use crate::identifier::Prefix;
use crate::mysql::handler::Handlers;
use crate::mysql::server::Server;

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
            lock_wait: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(5),
        }
    }
}
