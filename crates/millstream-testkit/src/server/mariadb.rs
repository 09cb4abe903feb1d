use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::account::Account;
use super::flavour::on_path;
use super::folder::Folder;
use super::port::Port;
use super::process::Process;
use super::tls::Identity;
use super::wait::Wait;

/// How often another port is tried when somebody took the one that was free.
const PORTS_MAX: usize = 5;

const DATA: &str = "data";
const ACCOUNTS: &str = "accounts.sql";

/// The user of tests, who may do everything.
const USER: &str = "millstream";
const PASSWORD: &str = "millstream";

/// Where Debian puts the server.
const SBIN: &str = "/usr/sbin";

/// Small files, so that an empty data folder is copied fast.
const SMALL: [&str; 4] = [
    "--no-defaults",
    "--innodb-log-file-size=4M",
    "--innodb-buffer-pool-size=24M",
    "--innodb-undo-tablespaces=0",
];

/// One MariaDB, running on this machine, on its own port and in its own folder.
///
/// It listens on the loopback alone, runs as an ordinary user also where the tests run as root, and is
/// killed when the value is dropped.
#[derive(Debug)]
pub struct MariaDb {
    // Before the folder, since it is dropped first.
    process: Process,
    port: Port,
    _folder: Folder,
}

/// What a MariaDB is to be like.
#[derive(Debug, Clone, Default)]
pub struct MariaDbBuilder {
    durable: bool,
    settings: Vec<String>,
    tls: Option<Identity>,
}

impl MariaDbBuilder {
    /// Has it flush each commit, as servers do whose data counts: what it acknowledged is there after
    /// [`MariaDb::kill`]. Otherwise it saves itself the trouble.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Adds a setting, as on the server's command line without the dashes: `sql-mode=ANSI`.
    #[must_use]
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(format!("--{setting}"));
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
    /// If there is no MariaDB here, or it does not start; the last lines that it wrote are in the
    /// message then.
    pub async fn start(self) -> Result<MariaDb> {
        for _ in 0..PORTS_MAX {
            let server = self.prepare(Port::reserve()?)?;
            match server.start().await {
                Ok(()) => return Ok(server),
                Err(_) if server.process.log_tail().contains("Address already in use") => {}
                Err(error) => return Err(error).context("MariaDB does not start"),
            }
        }
        bail!("{PORTS_MAX} ports were free and then taken by others")
    }

    fn prepare(&self, port: Port) -> Result<MariaDb> {
        let binary = binary("MILLSTREAM_TEST_MARIADB", "mariadbd")?;
        let account = Account::ordinary();
        let folder = match self.durable {
            true => Folder::new()?,
            // It syncs what it knows of tables on any account, and tests make many.
            false => Folder::in_memory()?,
        };
        copy(&template()?, &folder.join(DATA))?;
        let accounts = format!(
            "CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n"
        );
        fs::write(folder.join(ACCOUNTS), accounts)?;
        let mut arguments = self.arguments(&folder, &port);
        if let Some(identity) = &self.tls {
            let (certificate, key) = identity.copy_into(folder.path())?;
            for (name, file) in [("ssl-cert", certificate), ("ssl-key", key)] {
                arguments.push(format!("--{name}={}", file.display()).into());
            }
        }
        if let Some(account) = account {
            account.own(folder.path())?;
        }
        let process = Process::new(binary, arguments, folder.join("server.log"));
        Ok(MariaDb {
            process: process.with_account(account),
            port,
            _folder: folder,
        })
    }

    fn arguments(&self, folder: &Folder, port: &Port) -> Vec<OsString> {
        let file = |name: &str| folder.join(name).display().to_string();
        let mut arguments: Vec<String> = SMALL.map(Into::into).into();
        arguments.extend([
            format!("--datadir={}", file(DATA)),
            format!("--tmpdir={}", folder.path().display()),
            format!("--socket={}", file("socket")),
            format!("--pid-file={}", file("pid")),
            format!("--init-file={}", file(ACCOUNTS)),
            format!("--port={}", port.number()),
            "--bind-address=127.0.0.1".into(),
            "--skip-name-resolve".into(),
            "--character-set-server=utf8mb4".into(),
            "--performance-schema=OFF".into(),
        ]);
        if !self.durable {
            arguments.extend([
                "--innodb-flush-log-at-trx-commit=0".into(),
                "--innodb-doublewrite=OFF".into(),
                "--innodb-flush-method=nosync".into(),
            ]);
        }
        arguments.extend(self.settings.iter().cloned());
        arguments.into_iter().map(Into::into).collect()
    }
}

impl MariaDb {
    /// Starts one that does not flush what it commits.
    ///
    /// # Errors
    ///
    /// As [`MariaDbBuilder::start`].
    pub async fn start_default() -> Result<Self> {
        MariaDbBuilder::default().start().await
    }

    /// Describes one that is not ordinary.
    pub fn builder() -> MariaDbBuilder {
        MariaDbBuilder::default()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The URL of one of its databases, or of none in particular where the name is empty.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://{USER}:{PASSWORD}@{}/{database}", self.address())
    }

    /// One of MariaDB's own programs, with all that it needs to reach a database of this server.
    pub fn program(&self, name: &str, database: &str) -> Command {
        let mut command = Command::new(name);
        command.args([
            "--no-defaults",
            "--protocol=tcp",
            &format!("--host={}", self.address().ip()),
            &format!("--port={}", self.address().port()),
            &format!("--user={USER}"),
            &format!("--password={PASSWORD}"),
            database,
        ]);
        command
    }

    /// Starts it again after [`Self::kill`], and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub async fn start(&self) -> Result<()> {
        self.process.start()?;
        let wait = Wait::new("MariaDB does not answer");
        loop {
            if let Some(status) = self.process.ended()? {
                bail!("it ended with {status}:\n{}", self.process.log_tail());
            }
            if self.greets().await {
                return Ok(());
            }
            wait.again().await?;
        }
    }

    /// Kills it by SIGKILL, if it runs, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it cannot be killed.
    pub fn kill(&self) -> Result<()> {
        self.process.kill()
    }

    /// Whether it speaks first, as its protocol has it.
    async fn greets(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else {
            return false;
        };
        let mut greeting = [0; 5];
        // A refusal has an error packet in the place of the version of the protocol.
        stream.read_exact(&mut greeting).await.is_ok() && greeting[4] != 0xff
    }
}

/// An empty data folder, made once and copied then: making one takes a second.
fn template() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_TMPDIR").map_or_else(env::temp_dir, PathBuf::from);
    let version = version()?;
    let template = target.join(format!("millstream-mariadb-{version}"));
    if template.is_dir() {
        return Ok(template);
    }
    fs::create_dir_all(&target)?;
    let folder = tempfile::Builder::new()
        .prefix("mariadb-")
        .tempdir_in(&target)?;
    let made = folder.path().join(DATA);
    let program = binary("MILLSTREAM_TEST_MARIADB_INSTALL_DB", "mariadb-install-db")?;
    let mut command = Command::new(program);
    command.args(SMALL).args([
        &format!("--datadir={}", made.display()),
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
    ]);
    if Account::ordinary().is_some() {
        command.arg("--user=root");
    }
    let output = command.stdin(Stdio::null()).output()?;
    ensure!(
        output.status.success(),
        "mariadb-install-db fails:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Whoever comes second finds it there.
    if let Err(error) = fs::rename(&made, &template) {
        ensure!(template.is_dir(), "no template of MariaDB: {error}");
    }
    Ok(template)
}

/// Templates of other versions are of no use.
fn version() -> Result<String> {
    let output = Command::new(binary("MILLSTREAM_TEST_MARIADB", "mariadbd")?)
        .args(["--no-defaults", "--version"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split("Ver ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    Ok(version.context("MariaDB tells no version")?.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let output = Command::new("cp")
        .args(["-R", "--sparse=always"])
        .args([from, to])
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn binary(variable: &str, name: &str) -> Result<PathBuf> {
    if let Some(named) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    let beside = Path::new(SBIN).join(name);
    on_path(name)
        .or_else(|| beside.is_file().then_some(beside))
        .with_context(|| {
            format!(
                "{name} of MariaDB is not installed, and this test needs it. Run ./test tools, which \
                 installs it, or name the program in {variable}"
            )
        })
}
