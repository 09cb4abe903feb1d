use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisResult, ToRedisArgs, Value,
};

use super::aof;
use super::builder::Builder;
use super::clock;
use super::flavour::Flavour;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::wait::Wait;

/// The user of the kit itself, who may do everything whatever a test forbids to others.
pub(crate) const ADMIN: &str = "testkit";
pub(crate) const ADMIN_PASSWORD: &str = "testkit";

/// How long one command of the kit may take; a server that was stopped never answers.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Less than any step of a clock, and more than its server takes to tell the time.
const CLOCK_ERROR_MILLIS_MAX: i64 = 500;

/// One Redis or Valkey, running on this machine, on its own port and in its own folder.
///
/// It is killed when the value is dropped. The kit's own commands go through a unix socket as a
/// user of its own: neither a proxy, nor TLS, nor an ACL of the test is in their way.
#[derive(Debug)]
pub struct Server {
    // Before the folder, since it is dropped first.
    process: Process,
    flavour: Flavour,
    port: Port,
    tls_port: Option<Port>,
    /// Further ports that it listens on.
    ports: Vec<Port>,
    password: Option<String>,
    folder: Folder,
}

impl Server {
    /// Starts one with an append-only file and nothing else out of the ordinary.
    ///
    /// # Errors
    ///
    /// As [`Builder::start`].
    pub async fn start_default(flavour: Flavour) -> Result<Self> {
        Builder::new(flavour).start().await
    }

    /// Describes one that is not ordinary.
    pub fn builder(flavour: Flavour) -> Builder {
        Builder::new(flavour)
    }

    pub(crate) fn new(
        flavour: Flavour,
        port: Port,
        folder: Folder,
        password: Option<String>,
        process: Process,
    ) -> Self {
        Self {
            process,
            flavour,
            port,
            tls_port: None,
            ports: Vec::new(),
            password,
            folder,
        }
    }

    pub(crate) fn with_tls_port(mut self, port: Option<Port>) -> Self {
        self.tls_port = port;
        self
    }

    /// Keeps a port for it as long as it lives.
    pub(crate) fn holding(mut self, port: Port) -> Self {
        self.ports.push(port);
        self
    }

    /// Which server it is.
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Where it listens, without TLS.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// Where it listens with TLS, if it was built so.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        let port = self.tls_port.as_ref()?;
        Some((Ipv4Addr::LOCALHOST, port.number()).into())
    }

    /// The URL of [`Self::address`], with the password if there is one.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same server by another address: the one of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.url_with("redis", address)
    }

    /// The URL of [`Self::tls_address`], with the password if there is one.
    pub fn tls_url(&self) -> Option<String> {
        Some(self.url_with("rediss", self.tls_address()?))
    }

    fn url_with(&self, scheme: &str, address: SocketAddr) -> String {
        let password = self.password.as_deref();
        let password = password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("{scheme}://{password}{address}")
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        Self::socket_in(&self.folder)
    }

    pub(crate) fn socket_in(folder: &Folder) -> PathBuf {
        folder.join("socket")
    }

    /// Its folder, with its data and `server.log`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The last lines that it has written to its log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Has it run a command, as a user who may do everything.
    ///
    /// # Errors
    ///
    /// An error reply of the server, or that it does not answer.
    pub async fn command(&self, words: &[impl ToRedisArgs]) -> RedisResult<Value> {
        self.query(words).await
    }

    /// As [`Self::command`], with an answer of a type.
    ///
    /// # Errors
    ///
    /// As [`Self::command`], or an answer of another type.
    pub async fn query<T: FromRedisValue>(&self, words: &[impl ToRedisArgs]) -> RedisResult<T> {
        let mut connection = self.connect().await?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query_async(&mut connection).await
    }

    /// Opens a connection as a user who may do everything; a blocking command may wait on it for
    /// twenty seconds.
    ///
    /// # Errors
    ///
    /// If it does not accept connections.
    pub async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let info = ConnectionAddr::Unix(self.socket()).into_connection_info()?;
        let user = RedisConnectionInfo::default()
            .set_username(ADMIN)
            .set_password(ADMIN_PASSWORD)
            .set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        Client::open(info.set_redis_settings(user))?
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Kills it by SIGKILL and waits until it is gone; nothing happens if it does not run.
    ///
    /// What it has written to its append-only file is there afterwards: the machine did not lose
    /// power. [`Self::cut_aof`] makes up for that.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Asks it to stop by SIGTERM and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it does not run or does not stop.
    pub async fn terminate(&self) -> Result<ExitStatus> {
        self.process.terminate().await
    }

    /// Stops it by SIGSTOP and waits until it stands still: it holds its connections and says
    /// nothing.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub async fn stop(&self) -> Result<()> {
        self.process.stop().await
    }

    /// Lets it go on by SIGCONT.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn cont(&self) -> Result<()> {
        self.process.resume()
    }

    /// Starts it on its port and in its folder after it was killed or has stopped, and waits until
    /// it answers.
    ///
    /// # Errors
    ///
    /// If it runs already or does not start.
    pub async fn start(&self) -> Result<()> {
        self.start_unready()?;
        self.ready().await
    }

    /// Starts it and does not wait: it may be loading, or not listen yet.
    ///
    /// # Errors
    ///
    /// If it runs already, or cannot be started at all.
    pub fn start_unready(&self) -> Result<()> {
        self.process.start()
    }

    /// Kills it, if it runs, and starts it on the same port and in the same folder.
    ///
    /// # Errors
    ///
    /// As [`Self::start`].
    pub async fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start().await
    }

    /// Whether its process lives, if only stopped by [`Self::stop`].
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Whether it can be asked something.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_running() && !self.process.is_stopped()
    }

    /// Waits until it answers, all data loaded.
    ///
    /// # Errors
    ///
    /// If it ends instead, or takes too long.
    pub async fn ready(&self) -> Result<()> {
        let wait = Wait::new("the server does not answer");
        while let Err(error) = self.command(&["PING"]).await {
            if let Some(status) = self.process.ended()? {
                bail!("the server ended, {status}:\n{}", self.log_tail());
            }
            wait.again().await.with_context(|| error.to_string())?;
        }
        Ok(())
    }

    /// Cuts the last bytes of its append-only file, as a power loss would, and says how many there
    /// were to cut. It must be down; when it is started, it loads what is left.
    ///
    /// # Errors
    ///
    /// If it runs, or writes no append-only file in parts (in memory, Redis 6.2).
    pub fn cut_aof(&self, bytes: u64) -> Result<u64> {
        ensure!(!self.is_running(), "the server must be down");
        aof::cut(self.folder(), bytes)
    }

    /// Sets its clock to so many seconds from the right time, while it runs, and waits until it goes
    /// by that.
    ///
    /// # Errors
    ///
    /// If it was built without [`Builder::clock_offset`], or does not answer.
    pub async fn set_clock_offset(&self, seconds: i64) -> Result<()> {
        let step = seconds - clock::offset_seconds(self.folder())?;
        let (begin, before) = (Instant::now(), self.time_millis().await?);
        clock::set(self.folder(), seconds)?;
        let wait = Wait::new("the server does not notice its clock");
        loop {
            let passed = i64::try_from(begin.elapsed().as_millis())?;
            let late = before + 1_000 * step + passed - self.time_millis().await?;
            if late.abs() < CLOCK_ERROR_MILLIS_MAX {
                return Ok(());
            }
            wait.again().await?;
        }
    }

    async fn time_millis(&self) -> Result<i64> {
        let (seconds, micros): (i64, i64) = self.query(&["TIME"]).await?;
        Ok(1_000 * seconds + micros / 1_000)
    }

    /// How many bytes its append-only file has grown by since it was last rewritten.
    ///
    /// # Errors
    ///
    /// As [`Self::cut_aof`], except that it may run.
    pub fn aof_length(&self) -> Result<u64> {
        aof::length(self.folder())
    }
}
