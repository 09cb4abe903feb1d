//! Connections, a bounded number of them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use millstream_core::error::{Error, ErrorKind};

use crate::mysql::error::from_mysql;
use crate::mysql::options::Options;

/// How long a call waits for one of our connections to be free.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long a statement may take that goes over all rows.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// Before a connection is used that was idle for longer, it is asked whether it still works.
const TRUST: Duration = Duration::from_secs(2);

/// Rows that go to the server at once.
const ROWS_MAX: usize = 1_000;

/// Bytes of values that go to the server at once, unless one row has more: well below the
/// `max_allowed_packet` of any server that was set up for work.
const BYTES_MAX: usize = 1024 * 1024;

/// Which server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    MariaDb,
    MySql,
}

impl Flavour {
    /// The collation that tells any two texts apart, also by blanks at their end.
    pub(super) fn binary_collation(self) -> &'static str {
        match self {
            Self::MariaDb => "utf8mb4_nopad_bin",
            Self::MySql => "utf8mb4_0900_bin",
        }
    }
}

/// The connections of a database.
#[derive(Debug)]
pub(super) struct Pool {
    options: Arc<Options>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    conn: Conn,
    flavour: Flavour,
    since: Instant,
}

impl Pool {
    pub(super) fn new(options: Arc<Options>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(options.connections_max.max(1))),
            options,
            idle: Mutex::default(),
        }
    }

    /// A connection that works, an idle one or a new one, as soon as there is one to spare.
    pub(super) async fn session(self: &Arc<Self>) -> Result<Session, Error> {
        let permit = tokio::time::timeout(
            CONNECTION_WAIT_MAX,
            Arc::clone(&self.permits).acquire_owned(),
        );
        let permit = permit.await.map_err(|_| {
            let server = &self.options.server;
            let text = format!("all connections to {server} are in use");
            Error::new(ErrorKind::Unavailable, text)
        })?;
        let permit = permit.expect("the semaphore is never closed");
        while let Some(mut idle) = self.take() {
            let asked = self.options.connect_max();
            if idle.since.elapsed() < TRUST || answer(asked, idle.conn.ping()).await.is_ok() {
                return Ok(Session {
                    conn: idle.conn,
                    flavour: idle.flavour,
                    answer_max: self.options.statement_max,
                    home: Some((Arc::clone(self), permit)),
                });
            }
        }
        let mut session = Session::open(&self.options).await?;
        session.home = Some((Arc::clone(self), permit));
        Ok(session)
    }

    fn take(&self) -> Option<Idle> {
        self.idle().pop()
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. Dropping it closes it, and the server rolls back what is open on it.
#[derive(Debug)]
pub(super) struct Session {
    conn: Conn,
    flavour: Flavour,
    /// How long one statement may take.
    answer_max: Duration,
    home: Option<(Arc<Pool>, OwnedSemaphorePermit)>,
}

impl Session {
    /// Opens a connection that belongs to no pool.
    pub(super) async fn open(options: &Options) -> Result<Self, Error> {
        let doing = || format!("connect to {}", options.server);
        let opened =
            tokio::time::timeout(options.connect_max(), Conn::new(options.server.opts())).await;
        let conn = opened
            .map_err(|_| Error::new(ErrorKind::Unavailable, format!("{}: no answer", doing())))?
            .map_err(|error| from_mysql(error, doing()))?;
        let mut session = Self {
            conn,
            flavour: Flavour::MariaDb,
            answer_max: options.statement_max,
            home: None,
        };
        session.set_up(options).await?;
        Ok(session)
    }

    async fn set_up(&mut self, options: &Options) -> Result<(), Error> {
        let doing = "prepare a session";
        let version = self.first(
            doing,
            "SELECT @@version, @@innodb_flush_log_at_trx_commit",
            vec![],
        );
        let row = version.await?;
        let version: Option<Option<String>> = row.as_ref().and_then(|row| row.get(0));
        let is_mariadb = version
            .flatten()
            .is_some_and(|version| version.contains("MariaDB"));
        self.flavour = match is_mariadb {
            true => Flavour::MariaDb,
            false => Flavour::MySql,
        };
        let flush: Option<i64> = row.as_ref().and_then(|row| row.get(1));
        if flush != Some(1) {
            tracing::warn!(
                server = %options.server,
                innodb_flush_log_at_trx_commit = flush,
                "the server forgets commits in a crash that it has acknowledged"
            );
        }
        let lock_wait = options.lock_wait.as_secs().max(1);
        let idle = match is_mariadb {
            true => {
                let seconds = options.idle_in_transaction.as_secs().max(1);
                format!(", SESSION idle_transaction_timeout = {seconds}")
            }
            false => String::new(),
        };
        let settings = format!(
            "SET NAMES utf8mb4 COLLATE {}, SESSION autocommit = 1, \
             SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,\
                                 ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE', \
             SESSION time_zone = '+00:00', SESSION foreign_key_checks = 1, \
             SESSION unique_checks = 1, SESSION innodb_lock_wait_timeout = {lock_wait}, \
             SESSION lock_wait_timeout = {lock_wait}{idle}, @millstream_applying = 1",
            self.flavour.binary_collation(),
        );
        self.plain(doing, &settings).await?;
        self.plain(
            doing,
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        )
        .await
    }

    pub(super) fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The connection itself, for a handler.
    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Gives the connection back. Nothing may be open on it.
    pub(super) fn give_back(self) {
        if let Some((pool, _permit)) = self.home {
            pool.idle().push(Idle {
                conn: self.conn,
                flavour: self.flavour,
                since: Instant::now(),
            });
        }
    }

    /// What follows goes over all that there is, and may take long.
    pub(super) fn be_patient(&mut self) {
        self.answer_max = PATIENCE;
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self, doing: &str) -> Result<(), Error> {
        self.plain(doing, "START TRANSACTION").await
    }

    /// Commits it, and gives the connection back.
    pub(super) async fn commit(mut self, doing: &str) -> Result<(), Error> {
        self.plain(doing, "COMMIT").await?;
        self.give_back();
        Ok(())
    }

    /// Runs a statement without parameters, outside of the protocol of prepared ones.
    pub(super) async fn plain(&mut self, doing: &str, sql: &str) -> Result<(), Error> {
        let done = self.try_plain(sql).await;
        done.map_err(|error| from_mysql(error, doing))
    }

    /// The same with the driver's own error.
    pub(super) async fn try_plain(&mut self, sql: &str) -> Result<(), mysql_async::Error> {
        answer(self.answer_max, self.conn.query_drop(sql)).await
    }

    /// Runs a statement, and says how many rows it found.
    pub(super) async fn run(
        &mut self,
        doing: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, Error> {
        self.try_run(sql, values)
            .await
            .map_err(|error| from_mysql(error, doing))
    }

    /// The same with the driver's own error.
    pub(super) async fn try_run(
        &mut self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<u64, mysql_async::Error> {
        answer(self.answer_max, self.conn.exec_drop(sql, values)).await?;
        Ok(self.conn.affected_rows())
    }

    /// What the last statement put into `LAST_INSERT_ID`.
    pub(super) fn last_insert_id(&self) -> Option<u64> {
        self.conn.last_insert_id()
    }

    /// Runs a statement for each row of values, all at once where the server can do that, and says how
    /// many rows it found in all.
    pub(super) async fn batch(
        &mut self,
        doing: &str,
        sql: &str,
        rows: Vec<Vec<Value>>,
    ) -> Result<u64, Error> {
        let mut found = 0;
        for mut chunk in chunks(rows) {
            if self.flavour == Flavour::MySql {
                for row in chunk {
                    found += self.run(doing, sql, row).await?;
                }
                continue;
            }
            even_out(&mut chunk);
            let done = answer(self.answer_max, self.conn.exec_batch(sql, chunk)).await;
            done.map_err(|error| from_mysql(error, doing))?;
            found += self.conn.affected_rows();
        }
        Ok(found)
    }

    /// Inserts rows, all at once on any server. `head` ends before the values, `tail` begins behind
    /// them.
    pub(super) async fn insert(
        &mut self,
        doing: &str,
        head: &str,
        tail: &str,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), Error> {
        let Some(first) = rows.first() else {
            return Ok(());
        };
        let one = format!("({})", vec!["?"; first.len()].join(", "));
        if self.flavour == Flavour::MariaDb {
            let sql = format!("{head} VALUES {one} {tail}");
            return self.batch(doing, &sql, rows).await.map(drop);
        }
        for chunk in chunks(rows) {
            // Few different statements, since each is remembered.
            for part in binary_parts(chunk) {
                let values = vec![&*one; part.len()].join(", ");
                let sql = format!("{head} VALUES {values} {tail}");
                self.run(doing, &sql, part.into_iter().flatten().collect())
                    .await?;
            }
        }
        Ok(())
    }

    /// Reads rows.
    pub(super) async fn all(
        &mut self,
        doing: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Error> {
        let rows = answer(self.answer_max, self.conn.exec(sql, values)).await;
        rows.map_err(|error| from_mysql(error, doing))
    }

    /// Reads the first row, if there is one.
    pub(super) async fn first(
        &mut self,
        doing: &str,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Option<Row>, Error> {
        let row = answer(self.answer_max, self.conn.exec_first(sql, values)).await;
        row.map_err(|error| from_mysql(error, doing))
    }
}

/// Waits for the server. One that accepts connections and then says nothing would be waited for without
/// end: the session is of no use after that, and is closed when it is dropped.
async fn answer<T>(
    max: Duration,
    answer: impl Future<Output = Result<T, mysql_async::Error>>,
) -> Result<T, mysql_async::Error> {
    let answer = tokio::time::timeout(max, answer).await;
    answer.unwrap_or_else(|_| {
        let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
        Err(mysql_async::Error::Io(mysql_async::IoError::Io(error)))
    })
}

/// Values for a statement.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        vec![$(::mysql_async::Value::from($value)),*]
    };
}
pub(super) use values;

/// As many question marks for `IN (…)` as the ids fill, and the ids. The last one fills up, so that few
/// different statements come of it.
pub(super) fn in_list(ids: &[i64]) -> (String, Vec<Value>) {
    let length = ids.len().next_power_of_two();
    let last = ids.last().copied().unwrap_or_default();
    let ids = ids.iter().copied().chain(std::iter::repeat(last));
    let values: Vec<Value> = ids.take(length).map(Value::from).collect();
    (vec!["?"; length].join(", "), values)
}

fn chunks(rows: Vec<Vec<Value>>) -> Vec<Vec<Vec<Value>>> {
    let mut chunks: Vec<Vec<Vec<Value>>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let own: usize = row.iter().map(byte_len).sum();
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < ROWS_MAX && bytes + own <= BYTES_MAX => {
                chunk.push(row);
                bytes += own;
            }
            _ => {
                chunks.push(vec![row]);
                bytes = own;
            }
        }
    }
    chunks
}

fn byte_len(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() + 9,
        _ => 9,
    }
}

/// Parts whose lengths are powers of two.
fn binary_parts(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Vec<Value>>> {
    let mut parts = Vec::new();
    while !rows.is_empty() {
        let length = 1 << rows.len().ilog2();
        let rest = rows.split_off(length);
        parts.push(rows);
        rows = rest;
    }
    parts
}

/// A statement for many rows takes one type for each parameter: where rows differ, they go as text,
/// which the server reads as it would the literal.
fn even_out(rows: &mut [Vec<Value>]) {
    let width = rows.first().map_or(0, Vec::len);
    for column in 0..width {
        let mut types = rows
            .iter()
            .map(|row| &row[column])
            .filter(|value| !matches!(value, Value::NULL))
            .map(std::mem::discriminant);
        let first = types.next();
        if first.is_none_or(|first| types.all(|other| other == first)) {
            continue;
        }
        for row in rows.iter_mut() {
            let value = &mut row[column];
            if let Some(text) = match value {
                Value::Int(number) => Some(number.to_string()),
                Value::UInt(number) => Some(number.to_string()),
                Value::Float(number) => Some(number.to_string()),
                Value::Double(number) => Some(number.to_string()),
                _ => None,
            } {
                *value = Value::Bytes(text.into_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_mixed_types_goes_as_text() {
        let mut rows = vec![
            values![1i64, 7i64, Value::NULL],
            values![2i64, 1.5f64, Value::NULL],
            values![Value::NULL, "x", Value::NULL],
        ];
        even_out(&mut rows);
        assert_eq!(rows[0], values![1i64, "7", Value::NULL]);
        assert_eq!(rows[1], values![2i64, "1.5", Value::NULL]);
    }

    #[test]
    fn chunks_are_bounded_by_rows_and_bytes() {
        let small = chunks(vec![values![1i64]; 2_500]);
        assert_eq!(
            small.iter().map(Vec::len).collect::<Vec<_>>(),
            [1_000, 1_000, 500]
        );
        let large = chunks(vec![values!["x".repeat(BYTES_MAX)]; 3]);
        assert_eq!(large.len(), 3);
        let parts = binary_parts(vec![values![1i64]; 13]);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [8, 4, 1]);
    }
}
