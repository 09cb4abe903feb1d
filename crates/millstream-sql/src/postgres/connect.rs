//! Connections that end when the server says nothing any more.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Connect};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tracing::debug;

use millstream_core::error::{Error, ErrorKind};

use crate::postgres::error::from_postgres;
use crate::postgres::options::Options;
use crate::postgres::tls;

/// How long nothing may move on the connection of a statement that goes over all rows.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How connections to a server are made.
pub(super) struct Connector {
    /// None where they are not encrypted.
    encryption: Option<MakeRustlsConnect>,
    /// How long nothing may move, in either direction. The server gives up a statement before; one that
    /// is still silent stands still, or something between us swallows what it says. A connection that
    /// nobody uses ends as well, and is made again when it is needed.
    silence_max: Duration,
}

impl Connector {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let server = &options.server;
        let encryption = match server.is_encrypted() {
            true => Some(tls::connector(server.authorities.as_deref())?),
            false => None,
        };
        Ok(Self {
            encryption,
            silence_max: options.silence_max(PATIENCE),
        })
    }

    async fn make(
        &self,
        config: &Config,
    ) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        Ok(match &self.encryption {
            Some(encryption) => {
                let (client, connection) = config.connect(encryption.clone()).await?;
                (client, tokio::spawn(carry(connection, self.silence_max)))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                (client, tokio::spawn(carry(connection, self.silence_max)))
            }
        })
    }
}

type Made<'a> = Pin<
    Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>,
>;

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Made<'_> {
        let config = config.clone();
        Box::pin(async move { self.make(&config).await })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// A connection of its own, for statements that take long.
pub(super) async fn patient(
    options: &Options,
    doing: &'static str,
) -> Result<ClientWrapper, Error> {
    let connector = Connector {
        silence_max: PATIENCE,
        ..Connector::new(options)?
    };
    let config = options.session();
    let made = tokio::time::timeout(options.connect_max(), connector.make(&config)).await;
    let (client, task) = made
        .map_err(|_| Error::new(ErrorKind::Unavailable, format!("{doing}: no answer")))?
        .map_err(|error| from_postgres(&error, doing))?;
    Ok(ClientWrapper::new(client, task))
}

/// Carries what is asked and answered, until one of both goes or nothing has moved for so long. Whoever
/// waits for an answer then is told that the connection is lost.
async fn carry<S, T>(connection: Connection<S, T>, silence_max: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut connection = pin!(connection);
    let mut moved_at = Instant::now();
    let mut silence = pin!(sleep(silence_max));
    poll_fn(|context| {
        match connection.as_mut().poll(context) {
            Poll::Ready(Ok(())) => return Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                debug!(%error, "connection lost");
                return Poll::Ready(());
            }
            Poll::Pending => {}
        }
        // It is woken by what moves, or when it may be silent no longer.
        if silence.as_mut().poll(context).is_pending() {
            moved_at = Instant::now();
            return Poll::Pending;
        }
        if moved_at.elapsed() >= silence_max {
            debug!("connection given up: nothing moves on it");
            return Poll::Ready(());
        }
        silence.as_mut().reset(moved_at + silence_max);
        silence.as_mut().poll(context)
    })
    .await;
}
