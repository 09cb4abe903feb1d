//! One connection: opened, introduced, and used by deadlines.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::error::{Class, Fault, Refusal};
use super::options::{Credentials, Options, Protocol};
use super::reply;
use super::tls;

/// How long it may take to reach a server and to be let in.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How long a server may take to answer, beside what it was asked to wait.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Bytes that a command needs a second more for.
const BYTES_PER_SECOND_MIN: usize = 256 * 1024;

/// What connections have in common.
pub(super) struct Settings {
    credentials: Credentials,
    database: u32,
    protocol: Protocol,
    client_name: String,
    tls: Option<TlsConnector>,
    /// Whether only a master will do.
    master_only: bool,
}

impl Settings {
    /// For the servers that hold the streams.
    pub(super) fn new(options: &Options, tls: Option<TlsConnector>, master_only: bool) -> Self {
        Self {
            credentials: options.credentials.clone(),
            database: options.database,
            protocol: options.protocol,
            client_name: options.client_name.clone(),
            tls,
            master_only,
        }
    }

    /// For the sentinels.
    pub(super) fn sentinel(options: &Options, tls: Option<TlsConnector>) -> Self {
        Self {
            credentials: options.sentinel_credentials.clone(),
            database: 0,
            protocol: Protocol::Resp2,
            client_name: options.client_name.clone(),
            tls,
            master_only: false,
        }
    }
}

/// A connection that several may use at once. Dropping it closes it, whatever it waits for.
pub(super) struct Connection {
    multiplexed: MultiplexedConnection,
    driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Connects, encrypts, says who we are, and makes sure that the server is the kind that is wanted.
    pub(super) async fn open(address: &Address, settings: &Settings) -> Result<Self, Fault> {
        timeout(CONNECT_MAX, Self::open_unbounded(address, settings))
            .await
            .unwrap_or_else(|_| Err(Fault::away(format!("no connection within {CONNECT_MAX:?}"))))
    }

    async fn open_unbounded(address: &Address, settings: &Settings) -> Result<Self, Fault> {
        let connection = match address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                Self::over(stream).await?
            }
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((&**host, *port))
                    .await
                    .map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                match &settings.tls {
                    Some(connector) => {
                        let name = tls::server_name(host)?;
                        let stream = connector.connect(name, stream).await.map_err(broken)?;
                        Self::over(stream).await?
                    }
                    None => Self::over(stream).await?,
                }
            }
        };
        connection.introduce(settings).await?;
        if settings.master_only {
            connection.check_master().await?;
        }
        Ok(connection)
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, Fault> {
        // Nothing is said here: who introduces us looks at each answer.
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (multiplexed, driver) = MultiplexedConnection::new_with_config(&silent, stream, config)
            .await
            .map_err(lost)?;
        Ok(Self {
            multiplexed,
            driver: Driver(tokio::spawn(driver)),
        })
    }

    async fn introduce(&self, settings: &Settings) -> Result<(), Fault> {
        let Credentials { user, password } = &settings.credentials;
        let password = password.as_ref().map(|password| password.reveal());
        if settings.protocol == Protocol::Resp3 {
            let mut hello = redis::cmd("HELLO");
            hello.arg(3);
            if let Some(password) = password {
                let user = user.as_deref().unwrap_or("default");
                hello.arg("AUTH").arg(user).arg(password);
            }
            self.run(&hello).await?;
        } else if let Some(password) = password {
            let mut auth = redis::cmd("AUTH");
            if let Some(user) = user {
                auth.arg(user);
            }
            self.run(auth.arg(password)).await?;
        }
        if settings.database != 0 {
            self.run(redis::cmd("SELECT").arg(settings.database))
                .await?;
        }
        let mut name = redis::cmd("CLIENT");
        name.arg("SETNAME").arg(&settings.client_name);
        match self.run(&name).await {
            // Only a courtesy to whoever looks at CLIENT LIST.
            Err(Fault::Refused(refusal)) if refusal.code == "NOPERM" => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn check_master(&self) -> Result<(), Fault> {
        let role = reply::array(self.run(&redis::cmd("ROLE")).await?)?;
        match role
            .into_iter()
            .next()
            .map(reply::text)
            .transpose()?
            .as_deref()
        {
            Some("master") => Ok(()),
            Some(other) => Err(Fault::away(format!("it is a {other} and not the master"))),
            None => Err(Fault::shape("no role")),
        }
    }

    /// Whether the server is gone, as far as one can know without asking it.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Runs a command that is answered at once.
    pub(super) async fn run(&self, command: &Cmd) -> Result<Value, Fault> {
        self.run_within(command, ANSWER_MAX).await
    }

    /// Runs a command, and waits no longer for the answer than `max` and what its size takes.
    pub(super) async fn run_within(&self, command: &Cmd, max: Duration) -> Result<Value, Fault> {
        let size = command.args_iter().fold(0, |size, arg| match arg {
            redis::Arg::Simple(bytes) => size + bytes.len(),
            _ => size,
        });
        let max = max + Duration::from_secs((size / BYTES_PER_SECOND_MIN) as u64);
        let mut connection = self.multiplexed.clone();
        let value = timeout(max, connection.send_packed_command(command))
            .await
            .map_err(|_| Fault::Lost(format!("no answer within {max:?}")))?
            .map_err(lost)?;
        accept(value)
    }

    /// Runs commands in one go, and fails with the first that was refused.
    pub(super) async fn run_all(&self, commands: &Pipeline) -> Result<(), Fault> {
        let mut connection = self.multiplexed.clone();
        let answers = connection.send_packed_commands(commands, 0, commands.len());
        let answers = timeout(ANSWER_MAX, answers)
            .await
            .map_err(|_| Fault::Lost(format!("no answer within {ANSWER_MAX:?}")))?
            .map_err(lost)?;
        answers
            .into_iter()
            .try_for_each(|answer| accept(answer).map(drop))
    }

    /// Runs a command whose key is being moved to this node.
    pub(super) async fn run_asking(&self, command: &Cmd, max: Duration) -> Result<Value, Fault> {
        let mut both = Pipeline::new();
        both.cmd("ASKING").add_command(command.clone());
        let mut connection = self.multiplexed.clone();
        let answers = timeout(max, connection.send_packed_commands(&both, 0, 2))
            .await
            .map_err(|_| Fault::Lost(format!("no answer within {max:?}")))?
            .map_err(lost)?;
        accept(answers.into_iter().next_back().unwrap_or_default())
    }
}

fn accept(value: Value) -> Result<Value, Fault> {
    match value {
        Value::ServerError(error) => Err(Fault::Refused(Refusal::from(error))),
        value => Ok(value),
    }
}

fn unreachable(error: std::io::Error) -> Fault {
    Fault::away(format!("cannot connect: {error}"))
}

fn broken(error: std::io::Error) -> Fault {
    tls::explain(&error).unwrap_or_else(|| Fault::away(format!("cannot encrypt: {error}")))
}

/// A connection that ended. A server that refuses a client's certificate says so only here.
fn lost(error: RedisError) -> Fault {
    tls::explain(&error).unwrap_or_else(|| Fault::Lost(format!("the connection broke: {error}")))
}

impl Fault {
    /// Whether the connection that it came over must not be used again.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Refused(refusal) => refusal.class() == Class::Elsewhere,
            Self::Ours(..) => false,
        }
    }
}
