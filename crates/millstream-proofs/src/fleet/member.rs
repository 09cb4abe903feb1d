use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::child::Pulse;
use crate::site::Site;

/// How long a process may take to stop by itself.
const STOP_MAX: Duration = Duration::from_secs(20);

const STOP_INTERVAL: Duration = Duration::from_millis(5);

/// What a process is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lets events happen, as many as it may.
    Source,
    /// Sends them.
    Relay,
    /// Applies them, and draws what it gets again.
    Follower,
}

/// A part of the run and the process that plays it now. The process is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    arguments: Vec<OsString>,
    site: Site,
    life: Option<Life>,
    lives: u64,
    /// How often it was killed.
    pub(crate) kills: u64,
    /// How often after it had done something in that life.
    pub(crate) kills_at_work: u64,
    /// What was delivered again, in all lives that are over.
    repeated: u64,
    /// What it has repaired, in all lives that are over.
    repairs: u64,
}

#[derive(Debug)]
struct Life {
    child: Child,
    pulse: Arc<Mutex<Pulse>>,
    ears: JoinHandle<()>,
}

impl Member {
    pub(crate) fn new(
        name: &'static str,
        kind: Kind,
        site: &Site,
        arguments: Vec<OsString>,
    ) -> Self {
        Self {
            name,
            kind,
            arguments,
            site: site.clone(),
            life: None,
            lives: 0,
            kills: 0,
            kills_at_work: 0,
            repeated: 0,
            repairs: 0,
        }
    }

    /// Starts a process with these arguments besides. `seed` is another one in each life.
    pub(crate) fn start(&mut self, seed: Option<u64>, more: &[OsString]) -> anyhow::Result<()> {
        self.lives += 1;
        let log = self.site.path(&format!("{}.log", self.name));
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("part")
            .arg("--dir")
            .arg(self.site.dir())
            .args(&self.arguments)
            .args(more);
        if let Some(seed) = seed {
            command
                .arg("--seed")
                .arg(seed.wrapping_add(self.lives).to_string());
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;

        let pulse = Arc::new(Mutex::new(Pulse::default()));
        let out = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let heard = pulse.clone();
        let ears = thread::spawn(move || {
            for pulse in out
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| Pulse::hear(&line))
            {
                *heard.lock().unwrap_or_else(PoisonError::into_inner) = pulse;
            }
        });
        self.life = Some(Life { child, pulse, ears });
        Ok(())
    }

    /// What its process has said last.
    pub(crate) fn pulse(&self) -> Pulse {
        let heard = |life: &Life| *life.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        self.life.as_ref().map(heard).unwrap_or_default()
    }

    /// What was delivered again to it, in all of its lives.
    pub(crate) fn repeated(&self) -> u64 {
        self.repeated + self.pulse().repeated
    }

    /// Streams that it has begun anew, in all of its lives.
    pub(crate) fn repairs(&self) -> u64 {
        self.repairs + self.pulse().repairs
    }

    /// Says something to its process.
    pub(crate) fn tell(&mut self, what: u64) -> anyhow::Result<()> {
        let life = self.life.as_mut().context("it was not started")?;
        let ear = life.child.stdin.as_mut().context("stdin is piped")?;
        writeln!(ear, "{what}").with_context(|| format!("{} does not listen", self.name))
    }

    /// Stops its process by SIGSTOP; it holds what it has.
    pub(crate) fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on by SIGCONT.
    pub(crate) fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let life = self.life.as_ref().context("it was not started")?;
        Ok(kill_process(Pid::from_child(&life.child), signal)?)
    }

    /// Fails if its process ended by itself.
    pub(crate) fn must_live(&mut self) -> anyhow::Result<()> {
        let life = self.life.as_mut().context("it was not started")?;
        if let Some(status) = life.child.try_wait()? {
            bail!(
                "{} ended by itself, {status}:\n{}",
                self.name,
                self.last_words()
            );
        }
        Ok(())
    }

    /// Whether it has a process.
    pub(crate) fn is_started(&self) -> bool {
        self.life.is_some()
    }

    /// Kills its process by SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.must_live()?;
        let mut life = self.life.take().context("it was not started")?;
        life.child.kill()?;
        life.child.wait()?;
        self.kills += 1;
        let pulse = self.bury(life);
        self.kills_at_work += u64::from(pulse.done > 0);
        Ok(())
    }

    /// Tells its process to stop, and waits until it has.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut life) = self.life.take() else {
            return Ok(());
        };
        drop(life.child.stdin.take());
        let deadline = Instant::now() + STOP_MAX;
        let status: ExitStatus = loop {
            if let Some(status) = life.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.life = Some(life);
                bail!("{} does not stop:\n{}", self.name, self.last_words());
            }
            thread::sleep(STOP_INTERVAL);
        };
        self.bury(life);
        ensure!(
            status.success(),
            "{} stopped with {status}:\n{}",
            self.name,
            self.last_words()
        );
        Ok(())
    }

    fn bury(&mut self, life: Life) -> Pulse {
        // Ends with the pipe, and takes in everything that was said.
        life.ears.join().ok();
        let pulse = *life.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        self.repeated += pulse.repeated;
        self.repairs += pulse.repairs;
        pulse
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        const LINES: usize = 12;
        let log = fs::read(self.site.path(&format!("{}.log", self.name))).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(life) = &mut self.life {
            life.child.kill().ok();
            life.child.wait().ok();
        }
    }
}
