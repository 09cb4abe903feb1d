use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::account::Account;
use super::flavour::on_path;
use super::folder::Folder;
use super::memory;
use super::port::Port;
use super::process::{Process, parent};
use super::tls::Identity;
use super::wait::Wait;

/// Where Debian puts the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The owner of everything in it, who needs no password.
const USER: &str = "postgres";

/// Everybody else has a password.
const ACCESS: &str = "host all postgres 127.0.0.1/32 trust\n\
                      host replication postgres 127.0.0.1/32 trust\n\
                      host all all 127.0.0.1/32 scram-sha-256\n";

/// The folder of the data within that of the server.
const DATA: &str = "data";

/// How often another port is tried when somebody took the one that was free.
const PORTS_MAX: usize = 5;

/// Describes a [`Postgres`] that is not ordinary.
#[derive(Clone, Debug, Default)]
pub struct PostgresBuilder {
    durable: bool,
    settings: Vec<String>,
    tls: Option<Identity>,
}

/// One PostgreSQL, on a port and in a folder of its own. Its database is `postgres`.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: Port,
    builder: PostgresBuilder,
    folder: Folder,
}

impl PostgresBuilder {
    /// Has it flush each commit, as servers do whose data counts. Otherwise it saves itself the
    /// trouble: what it acknowledged is there after [`Postgres::kill`], but not after a power cut.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Adds a setting, as in its configuration file: `max_connections=5`.
    #[must_use]
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Has it take encrypted connections too.
    #[must_use]
    pub fn tls(mut self, identity: Identity) -> Self {
        self.tls = Some(identity);
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    ///
    /// If there is no PostgreSQL here, or it does not start; the last lines that it wrote are in the
    /// message then.
    pub async fn start(self) -> Result<Postgres> {
        let copy = |data: &Path| run(Command::new("cp").arg("-R").arg(template()?).arg(data));
        self.start_from(copy).await
    }

    /// Starts it from what `fill` puts into the folder of its data.
    async fn start_from(
        self,
        fill: impl Fn(&Path) -> Result<()> + Clone + Send + 'static,
    ) -> Result<Postgres> {
        for _ in 0..PORTS_MAX {
            let (this, fill, port) = (self.clone(), fill.clone(), Port::reserve()?);
            // Whatever else the test does goes on meanwhile.
            let prepared = tokio::task::spawn_blocking(move || this.prepare(port, fill));
            let server = prepared.await??;
            match server.start().await {
                Ok(()) => return Ok(server),
                Err(_) if server.process.log_tail().contains("Address already in use") => {}
                Err(error) => return Err(error).context("PostgreSQL does not start"),
            }
        }
        bail!("{PORTS_MAX} ports were free and then taken by others")
    }

    fn prepare(self, port: Port, fill: impl Fn(&Path) -> Result<()>) -> Result<Postgres> {
        let account = Account::ordinary();
        let folder = Folder::new()?;
        let data = folder.join(DATA);
        fill(&data)?;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700))?;
        fs::write(data.join("pg_hba.conf"), ACCESS)?;
        let mut arguments = self.arguments(&data, &port);
        if let Some(identity) = &self.tls {
            let (certificate, key) = identity.copy_into(&data)?;
            for setting in [
                "ssl=on".to_owned(),
                format!("ssl_cert_file={}", certificate.display()),
                format!("ssl_key_file={}", key.display()),
            ] {
                arguments.extend(["-c".into(), setting.into()]);
            }
        }
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        let process = Process::new(binary("postgres")?, arguments, folder.join("server.log"));
        Ok(Postgres {
            process: process.with_account(account),
            port,
            builder: self,
            folder,
        })
    }

    fn arguments(&self, data: &Path, port: &Port) -> Vec<OsString> {
        let mut settings = vec![
            format!("port={}", port.number()),
            "listen_addresses=127.0.0.1".into(),
            "unix_socket_directories=".into(),
            "shared_buffers=16MB".into(),
            "max_connections=60".into(),
            "max_wal_size=128MB".into(),
            // In its folder, so that nothing of it stays behind when it is killed.
            "dynamic_shared_memory_type=mmap".into(),
        ];
        if !self.durable {
            settings.extend(["fsync=off", "full_page_writes=off"].map(Into::into));
        }
        settings.extend(self.settings.iter().cloned());
        let mut arguments: Vec<OsString> = vec!["-D".into(), data.into()];
        for setting in settings {
            arguments.extend(["-c".into(), setting.into()]);
        }
        arguments
    }
}

impl Postgres {
    /// Starts one that does not flush what it commits.
    ///
    /// # Errors
    ///
    /// As [`PostgresBuilder::start`].
    pub async fn start_default() -> Result<Self> {
        PostgresBuilder::default().start().await
    }

    /// Describes one that is not ordinary.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// One of its programs, such as `pg_dump`, of the version that tests run on.
    ///
    /// # Errors
    ///
    /// If it is not installed.
    pub fn program(name: &str) -> Result<Command> {
        Ok(Command::new(binary(name)?))
    }

    /// Starts another one with its settings, which follows the server at `source`: this one, or what
    /// leads to it. Clients may read there, until it is promoted.
    pub(crate) async fn follow(&self, source: SocketAddr) -> Result<Self> {
        let back_up = move |data: &Path| {
            let mut command = Self::program("pg_basebackup")?;
            let source = format!("--dbname=postgres://{USER}@{source}");
            let arguments = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
            run(command.arg(source).args(arguments).arg("-D").arg(data))
        };
        self.builder.clone().start_from(back_up).await
    }

    /// What statements answer: a row a line, its columns separated by `|`.
    ///
    /// # Errors
    ///
    /// If the server is away, or does not take one of them.
    pub async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        Self::rows_at(self.address(), sql).await
    }

    /// The same through something else that listens, such as a proxy.
    ///
    /// # Errors
    ///
    /// As [`Self::rows`].
    pub async fn rows_at(address: SocketAddr, sql: &str) -> Result<Vec<String>> {
        let mut command = tokio::process::Command::from(Self::program("psql")?);
        let arguments = ["-XAtq", "--set=ON_ERROR_STOP=1", "--command", sql];
        command.args(arguments).arg(Self::url_at(address));
        let output = command.stdin(Stdio::null()).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{sql}: {said}");
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        Self::url_at(self.address())
    }

    /// The same through something else that listens, such as a proxy.
    pub fn url_at(address: SocketAddr) -> String {
        format!("postgres://{USER}@{address}/{USER}")
    }

    /// Starts it again after [`Self::kill`], and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub async fn start(&self) -> Result<()> {
        self.process.start()?;
        let wait = Wait::new("PostgreSQL does not answer");
        loop {
            if let Some(status) = self.process.ended()? {
                bail!("it ended with {status}:\n{}", self.process.log_tail());
            }
            if self.lets_in().await {
                return Ok(());
            }
            wait.again().await?;
        }
    }

    /// Kills it and its sessions by SIGKILL, if it runs, and waits until all are gone.
    ///
    /// # Errors
    ///
    /// If one cannot be killed.
    pub async fn kill(&self) -> Result<()> {
        let sessions = self.process.children()?;
        self.process.kill()?;
        // Left alone, they would do one more thing, and keep the memory that a new server wants.
        for &session in &sessions {
            // It may have gone by itself.
            kill_process(session, Signal::KILL).ok();
        }
        let wait = Wait::new("sessions of PostgreSQL do not end");
        while sessions.iter().any(|&session| parent(session).is_some()) {
            wait.again().await?;
        }
        Ok(())
    }

    /// Stops it at once, as `pg_ctl stop -m immediate` does: sessions are cut, nothing is tidied up.
    ///
    /// # Errors
    ///
    /// If it does not run, or does not stop.
    pub async fn stop_immediately(&self) -> Result<()> {
        self.process.quit().await.map(drop)
    }

    /// Whether it takes a session: it listens before it is ready.
    async fn lets_in(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else {
            return false;
        };
        let parameters = format!("user\0{USER}\0\0");
        let length = u32::try_from(8 + parameters.len()).expect("it is short");
        let mut startup = Vec::from(length.to_be_bytes());
        // Version 3.0 of the protocol.
        startup.extend([0, 3, 0, 0]);
        startup.extend(parameters.as_bytes());
        let mut answer = [0; 1];
        stream.write_all(&startup).await.is_ok()
            && stream.read_exact(&mut answer).await.is_ok()
            && answer[0] == b'R'
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process.kill().ok();
        memory::free(&self.folder.join(DATA));
    }
}

/// A data folder with nothing in it, made once and copied then: making one takes a second.
fn template() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_TMPDIR").map_or_else(env::temp_dir, PathBuf::from);
    let template = target.join(format!("millstream-{}", version()?.replace(' ', "-")));
    if template.is_dir() {
        return Ok(template);
    }
    let folder = Folder::new()?;
    let made = folder.join(DATA);
    let mut command = Command::new(binary("initdb")?);
    command.arg("-D").arg(&made).args([
        "--username",
        USER,
        "--auth=trust",
        "--no-locale",
        "--encoding=UTF8",
        "--no-sync",
        "--no-instructions",
        "--wal-segsize=1",
    ]);
    if let Some(account) = Account::ordinary() {
        account.own(folder.path())?;
        command.uid(account.user).gid(account.group);
    }
    run(&mut command)?;
    fs::create_dir_all(&target)?;
    let copy = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(&target)?;
    let copied = copy.path().join(DATA);
    run(Command::new("cp").arg("-R").args([&made, &copied]))?;
    // Whoever comes second finds it there.
    if let Err(error) = fs::rename(&copied, &template) {
        ensure!(template.is_dir(), "no template of PostgreSQL: {error}");
    }
    Ok(template)
}

/// Templates of other versions are of no use.
fn version() -> Result<String> {
    let output = Command::new(binary("postgres")?)
        .arg("--version")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split(')').nth(1).and_then(|rest| {
        let number = rest.split_whitespace().next()?;
        Some(format!("postgres-{number}"))
    });
    version.context("PostgreSQL tells no version")
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).current_dir("/").output()?;
    ensure!(
        output.status.success(),
        "{} fails:\n{}{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// `MILLSTREAM_TEST_POSTGRES` names the folder of the programs; otherwise the newest of Debian's is
/// taken, or what is in `PATH`.
fn binary(name: &str) -> Result<PathBuf> {
    let variable = "MILLSTREAM_TEST_POSTGRES";
    if let Some(folder) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Ok(Path::new(&folder).join(name));
    }
    let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
    let mut folders: Vec<PathBuf> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|folder| version(folder).is_some())
        .collect();
    folders.sort_by_key(version);
    folders
        .iter()
        .rev()
        .map(|folder| folder.join("bin").join(name))
        .find(|file| file.is_file())
        .or_else(|| on_path(name))
        .with_context(|| {
            format!(
                "{name} of PostgreSQL is not installed, and this test needs it. Run ./test tools, \
                 which installs it, or name the folder of the programs in {variable}"
            )
        })
}
