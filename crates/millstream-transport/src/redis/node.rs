//! One server, by its address.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::connection::{ANSWER_MAX, Connection, Settings};
use super::error::Fault;
use super::gate::Gate;

/// Reads that wait on one server at a time, each with a connection of its own. Further ones only look
/// whether there is something.
const READERS_MAX: usize = 256;

pub(super) struct Node {
    pub(super) address: Address,
    settings: Arc<Settings>,
    gate: Gate,
    /// For everything that is answered at once.
    shared: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// For whatever waits at the server or brings much: each has one read in flight.
    idle: Mutex<Vec<Connection>>,
    readers: Arc<Semaphore>,
}

impl Node {
    pub(super) fn new(address: Address, settings: Arc<Settings>) -> Self {
        Self {
            address,
            settings,
            gate: Gate::new(),
            shared: tokio::sync::Mutex::default(),
            idle: Mutex::default(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    async fn open(&self) -> Result<Connection, Fault> {
        let _turn = self.gate.pass().await?;
        match Connection::open(&self.address, &self.settings).await {
            Ok(connection) => {
                self.gate.succeeded();
                Ok(connection)
            }
            Err(fault) => {
                self.gate.failed(&fault);
                Err(fault)
            }
        }
    }

    /// The connection for short commands.
    pub(super) async fn shared(&self) -> Result<Arc<Connection>, Fault> {
        let mut shared = self.shared.lock().await;
        match &*shared {
            Some(connection) if !connection.is_closed() => Ok(Arc::clone(connection)),
            _ => {
                let connection = Arc::new(self.open().await?);
                *shared = Some(Arc::clone(&connection));
                Ok(connection)
            }
        }
    }

    /// A connection for one read, if there is one before the deadline.
    pub(super) async fn reader(
        self: &Arc<Self>,
        deadline: Instant,
    ) -> Result<Option<Reader>, Fault> {
        let readers = Arc::clone(&self.readers);
        let Ok(permit) = timeout_at(deadline, readers.acquire_owned()).await else {
            return Ok(None);
        };
        let connection = match self.idle_one() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        Ok(Some(Reader {
            node: Arc::clone(self),
            connection: Some(connection),
            _permit: permit.expect("it is never closed"),
        }))
    }

    fn idle_one(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    /// Never uses this connection again, and gives the server time before it opens another.
    pub(super) async fn abandon(&self, connection: &Arc<Connection>, fault: &Fault) {
        let mut shared = self.shared.lock().await;
        if shared
            .as_ref()
            .is_some_and(|held| Arc::ptr_eq(held, connection))
        {
            *shared = None;
            self.doubt(fault);
        }
    }

    /// What broke one connection has most likely broken those that nobody uses.
    fn doubt(&self, fault: &Fault) {
        self.gate.failed(fault);
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is one read's alone. Given back after an answer; closed when the read is dropped
/// before, since the server would go on serving it.
pub(super) struct Reader {
    node: Arc<Node>,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// Runs a command that waits at the server for up to `wait`.
    pub(super) async fn run(
        mut self,
        command: &Cmd,
        wait: Duration,
        asking: bool,
    ) -> Result<Value, Fault> {
        let connection = self.connection.take().expect("it is used once");
        let max = wait + ANSWER_MAX;
        let answer = if asking {
            connection.run_asking(command, max).await
        } else {
            connection.run_within(command, max).await
        };
        match &answer {
            Err(fault) if fault.breaks_connection() => self.node.doubt(fault),
            _ => self.node.idle().push(connection),
        }
        answer
    }
}
