use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::account::Account;
use super::spawner;
use super::wait::Wait;

const LOG_TAIL_LINES: usize = 40;

/// A program that can be started again, its process killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    account: Option<Account>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
    stopped: AtomicBool,
}

impl Process {
    /// One that is not running; its output goes to `log`, the output of all of its lives.
    pub(crate) fn new(program: PathBuf, arguments: Vec<OsString>, log: PathBuf) -> Self {
        Self {
            program,
            arguments,
            variables: Vec::new(),
            account: None,
            log,
            child: Mutex::new(None),
            stopped: AtomicBool::new(false),
        }
    }

    /// Gives it variables of its environment.
    pub(crate) fn with_variables(mut self, variables: Vec<(OsString, OsString)>) -> Self {
        self.variables = variables;
        self
    }

    /// Runs it as another user.
    pub(crate) fn with_account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    pub(crate) fn start(&self) -> Result<()> {
        let mut child = self.child();
        ensure!(child.is_none(), "{} runs already", self.program.display());
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = spawner::bound(&self.program);
        command
            .args(&self.arguments)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(account) = self.account {
            command.uid(account.user).gid(account.group);
        }
        let started = spawner::start(command);
        self.stopped.store(false, Ordering::Relaxed);
        *child = Some(started.with_context(|| format!("cannot start {}", self.program.display()))?);
        Ok(())
    }

    /// Kills it by SIGKILL, if it runs, and waits until it is gone.
    pub(crate) fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.child().take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The processes that it has started and that run; none if it does not.
    pub(crate) fn children(&self) -> Result<Vec<Pid>> {
        let own = self.child().as_ref().map(Pid::from_child);
        let Some(own) = own else {
            return Ok(Vec::new());
        };
        let mut children = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse().ok());
            let pid = pid.and_then(Pid::from_raw);
            children.extend(pid.filter(|&pid| parent(pid) == Some(own)));
        }
        Ok(children)
    }

    /// Asks it to stop by SIGTERM, and waits until it is gone.
    pub(crate) async fn terminate(&self) -> Result<ExitStatus> {
        self.end_by(Signal::TERM, "it does not stop by SIGTERM")
            .await
    }

    /// Tells it to stop at once by SIGQUIT, and waits until it is gone.
    pub(crate) async fn quit(&self) -> Result<ExitStatus> {
        self.end_by(Signal::QUIT, "it does not stop by SIGQUIT")
            .await
    }

    async fn end_by(&self, signal: Signal, otherwise: &'static str) -> Result<ExitStatus> {
        self.signal(signal)?;
        let wait = Wait::new(otherwise);
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            wait.again().await?;
        }
    }

    /// Stops it by SIGSTOP, and waits until it stands still.
    pub(crate) async fn stop(&self) -> Result<()> {
        let pid = self.signal(Signal::STOP)?;
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let wait = Wait::new("it does not stop by SIGSTOP");
        while waitid(WaitId::Pid(pid), options)?.is_none() {
            wait.again().await?;
        }
        self.stopped.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets it go on by SIGCONT.
    pub(crate) fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.stopped.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// How it ended, if it has ended by itself; it can be started again then.
    pub(crate) fn ended(&self) -> Result<Option<ExitStatus>> {
        let mut child = self.child();
        let status = child.as_mut().context("it does not run")?.try_wait()?;
        if status.is_some() {
            *child = None;
        }
        Ok(status)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended().is_ok_and(|ended| ended.is_none())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The last lines that it has written.
    pub(crate) fn log_tail(&self) -> String {
        tail(&self.log)
    }

    fn signal(&self, signal: Signal) -> Result<Pid> {
        let child = self.child();
        let child = child.as_ref().context("it does not run")?;
        let pid = Pid::from_child(child);
        kill_process(pid, signal)?;
        Ok(pid)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "a failing test shows what its server said"
    )]
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed; it ends with this one.
        drop(self.kill());
        if std::thread::panicking() {
            eprintln!(
                "-- {}, its last lines:\n{}",
                self.log.display(),
                self.log_tail()
            );
        }
    }
}

/// The parent of a process; none if it does not run any more.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name, in parentheses, may hold anything.
    let mut rest = stat.rsplit_once(')')?.1.split_whitespace();
    let state = rest.next()?;
    let parent = rest.next()?.parse().ok()?;
    Pid::from_raw(parent).filter(|_| state != "Z")
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}
