//! A temporary folder, and the program in it.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use millstream::rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// No wait of any test is longer. Reached only by a defect.
const DEADLINE: Duration = Duration::from_secs(60);

const EMPLOYEES: &str = "CREATE TABLE employees (
    tenant_id TEXT, user_id TEXT, email TEXT, name TEXT CHECK (length(name) < 20),
    PRIMARY KEY (tenant_id, user_id))";

pub(crate) struct Folder(TempDir);

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn empty() -> Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    /// As `millstream init` and `migrate` leave it, with the table that HR keeps.
    pub(crate) fn ready() -> Result<Self> {
        let folder = Self::empty()?;
        folder.run(&["init"]).done()?;
        folder.make_employees("hr.db")?;
        folder.run(&["migrate"]).done()?;
        Ok(folder)
    }

    /// The table that HR keeps.
    pub(crate) fn make_employees(&self, database: &str) -> Result<()> {
        Ok(Connection::open(self.path(database))?.execute_batch(EMPLOYEES)?)
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.command(args)
            .output()
            .expect("the binary was built")
            .into()
    }

    /// As [`run`](Self::run), with bytes on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Result<Said> {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut pipe = child.stdin.take().context("stdin is piped")?;
        pipe.write_all(stdin)?;
        drop(pipe);
        Ok(child.wait_with_output()?.into())
    }

    /// Starts relay and consumer with everything in the log, and waits until they run.
    pub(crate) fn start(&self, args: &[&str]) -> Result<Service> {
        let mut service = self.begin(args)?;
        service.says("running;")?;
        Ok(service)
    }

    /// Starts a service with everything in the log.
    pub(crate) fn begin(&self, args: &[&str]) -> Result<Service> {
        self.begin_with(args, "trace")
    }

    /// Starts a service with what the filter lets into the log.
    pub(crate) fn begin_with(&self, args: &[&str], filter: &str) -> Result<Service> {
        let log = self.path(&format!("{}.log", args.join(" ")));
        let child = self
            .command(args)
            .env("RUST_LOG", filter)
            .stderr(File::create(&log)?)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Service { child, log })
    }

    /// The first column of every row.
    pub(crate) fn rows(&self, database: &str, sql: &str) -> Result<Vec<String>> {
        let db = Connection::open(self.path(database))?;
        db.busy_timeout(DEADLINE)?;
        let mut statement = db.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes a second configuration, which names other files.
    pub(crate) fn configure(&self, file: &str, names: &[(&str, &str)]) -> Result<()> {
        let text = fs::read_to_string(self.path("millstream.toml"))?;
        let text = names
            .iter()
            .fold(text, |text, (from, to)| text.replace(from, to));
        Ok(fs::write(self.path(file), text)?)
    }

    pub(crate) fn outbox(&self) -> Result<Vec<String>> {
        self.rows(
            "crm.db",
            "SELECT event_type || ' ' || entity_id FROM outbox ORDER BY id",
        )
    }
}

impl Said {
    /// Its stdout, where it did what it should.
    #[track_caller]
    pub(crate) fn done(self) -> Result<String> {
        ensure!(self.code == 0, "{self:?}");
        Ok(self.out)
    }

    /// Its stderr, where it ended with this code and said nothing on stdout.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self.err
    }

    /// Its stdout as one JSON document over several lines.
    pub(crate) fn json_document(self) -> Result<Value> {
        Ok(serde_json::from_str(&self.done()?)?)
    }

    /// Its stdout as JSON, a value a line.
    pub(crate) fn json(self) -> Result<Vec<Value>> {
        let out = self.done()?;
        out.lines()
            .map(|line| serde_json::from_str(line).context(line.to_owned()))
            .collect()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            // A signal has no code; none of those here ends by one.
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// `millstream run`; killed when it is dropped.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// What it has logged.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Waits until it has logged something.
    pub(crate) fn says(&mut self, text: &str) -> Result<()> {
        eventually(|| {
            let log = self.log()?;
            ensure!(self.child.try_wait()?.is_none(), "it ended: {log}");
            ensure!(log.contains(text), "{log}");
            Ok(())
        })
    }

    /// Asks it to stop, and says how it ended and how long that took.
    pub(crate) fn terminate(&mut self) -> Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        let kill = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        ensure!(kill.success(), "kill: {kill}");
        let mut ended = None;
        eventually(|| {
            ended = self.child.try_wait()?;
            ensure!(ended.is_some(), "still running");
            Ok(())
        })?;
        Ok((ended.context("ended")?, asked.elapsed()))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // An error only says that it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Looks again and again until it succeeds.
pub(crate) fn eventually(mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > DEADLINE => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}
