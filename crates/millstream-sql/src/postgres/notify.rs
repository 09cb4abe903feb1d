//! Being told by the server that an event was written, in the place of looking again and again.
//!
//! An option, since each writer pays for it: NOTIFY takes a lock of the whole server while its transaction
//! commits (<https://www.postgresql.org/docs/current/sql-notify.html>). A message that gets lost costs a
//! moment, since the relay looks now and then all the same.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Connection, GenericClient, NoTls};
use tracing::{info, warn};

use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::StreamName;

use crate::identifier::{Prefix, Quoted};
use crate::postgres::bound::anything_waits;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::options::Options;
use crate::postgres::tls;
use crate::wait;

/// How often the outbox is looked at while nobody is told anything.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a connection that could not be made, or hears nothing, is not tried again.
const AGAIN_INTERVAL: Duration = Duration::from_secs(5);

/// How long a connection that is to listen may take to be made.
const LISTEN_MAX: Duration = Duration::from_secs(5);

const DOING: &str = "listen to the outbox";

/// The connection of a process that listens, if there is one.
#[derive(Debug, Default)]
pub(super) struct Ears(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    listener: Option<Listener>,
    failed_at: Option<Instant>,
}

#[derive(Debug)]
struct Listener {
    /// Ends with the connection.
    told: watch::Receiver<u64>,
    /// The server is left when this is dropped.
    client: Client,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until a row of the stream waits for a number, or for so long.
pub(super) async fn wait(db: &Database, stream: &StreamName, wait: Duration) {
    let deadline = Instant::now() + wait;
    let Some(mut told) = db.ears.told(db).await else {
        return wait::until(wait, || anything_waits(db, stream)).await;
    };
    loop {
        told.mark_unchanged();
        let waiting = anything_waits(db, stream).await;
        let left = deadline.saturating_duration_since(Instant::now());
        if matches!(waiting, Ok(true)) || left.is_zero() {
            return;
        }
        match tokio::time::timeout(left.min(LOOK_INTERVAL), told.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            // The connection is lost. The next wait makes another.
            Ok(Err(_)) => return wait::until(left, || anything_waits(db, stream)).await,
        }
    }
}

impl Ears {
    /// What changes whenever an event was written; none where nobody can say.
    async fn told(&self, db: &Database) -> Option<watch::Receiver<u64>> {
        let mut state = self.0.lock().await;
        if let Some(listener) = &state.listener {
            if listener.told.has_changed().is_ok() {
                return Some(listener.told.clone());
            }
            state.listener = None;
        }
        if state
            .failed_at
            .is_some_and(|at| at.elapsed() < AGAIN_INTERVAL)
        {
            return None;
        }
        let listening = tokio::time::timeout(LISTEN_MAX, listen(db)).await;
        let listening = listening.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Unavailable,
                format!("{DOING}: no answer"),
            ))
        });
        match listening {
            Ok(Some(listener)) => {
                let told = listener.told.clone();
                (state.listener, state.failed_at) = (Some(listener), None);
                info!(application = %db.options.application, "listening to the outbox");
                Some(told)
            }
            Ok(None) => {
                let application = &db.options.application;
                if state.failed_at.is_none() {
                    warn!(%application, "notify is on, and the outbox tells nobody: run `millstream migrate`");
                }
                state.failed_at = Some(Instant::now());
                None
            }
            Err(error) => {
                if state.failed_at.is_none() {
                    warn!(application = %db.options.application, %error, "nobody is told of events");
                }
                state.failed_at = Some(Instant::now());
                None
            }
        }
    }
}

/// A connection of its own, since a pool's are given to others. None where there is no trigger.
async fn listen(db: &Database) -> Result<Option<Listener>, Error> {
    let server = &db.options.server;
    let config = db.options.session();
    let failed = while_doing(DOING);
    if server.is_encrypted() {
        let connector = tls::connector(server.authorities.as_deref())?;
        let (client, connection) = config.connect(connector).await.map_err(failed)?;
        start(db, client, connection).await
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        start(db, client, connection).await
    }
}

async fn start<S, T>(
    db: &Database,
    client: Client,
    mut connection: Connection<S, T>,
) -> Result<Option<Listener>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (tell, told) = watch::channel(0);
    let task = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message {
                tell.send_modify(|count| *count += 1);
            }
        }
    });
    let listener = Listener { told, client, task };
    let prefix = &db.options.prefix;
    let client = &listener.client;
    if !is_there(client, prefix).await? {
        return Ok(None);
    }
    let channel = Quoted(&channel(prefix)).to_string();
    client
        .batch_execute(&format!("LISTEN {channel}"))
        .await
        .map_err(while_doing(DOING))?;
    Ok(Some(listener))
}

/// Whether whoever writes to the outbox tells the relay, as [`migrate`](super::migrate) has last put it
/// into effect.
///
/// # Errors
///
/// [`Unavailable`](ErrorKind::Unavailable) when the database is away.
pub async fn notifies(options: &Options) -> Result<bool, Error> {
    let database = Database::new(options.clone());
    let connection = database.connection(DOING).await?;
    let db: &Client = &connection;
    is_there(db, &options.prefix).await
}

fn channel(prefix: &Prefix) -> String {
    prefix.sql("~outbox")
}

/// Whether writers tell.
pub(super) async fn is_there(db: &impl GenericClient, prefix: &Prefix) -> Result<bool, Error> {
    let table = Quoted(&prefix.sql("~outbox")).to_string();
    let trigger = prefix.sql("~outbox_notify");
    let row = db
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_trigger
                            WHERE tgrelid = to_regclass($1::text) AND tgname = $2)",
            &[&table, &trigger],
        )
        .await
        .map_err(while_doing(DOING))?;
    Ok(row.get(0))
}

/// What makes writers tell, and what ends it. `@` is the schema, as in `schema.sql`.
pub(super) fn script(wanted: bool) -> &'static str {
    match wanted {
        true => {
            "CREATE FUNCTION @.~outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('~outbox', '');
  RETURN NULL;
END
$$;
CREATE TRIGGER ~outbox_notify AFTER INSERT ON @.~outbox
  FOR EACH STATEMENT EXECUTE FUNCTION @.~outbox_notify();"
        }
        false => {
            "DROP TRIGGER ~outbox_notify ON @.~outbox;
DROP FUNCTION @.~outbox_notify();"
        }
    }
}
