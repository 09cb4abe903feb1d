use std::io::{self, Write as _};
use std::time::Duration;

/// How often a process says how far it is.
const INTERVAL: Duration = Duration::from_millis(10);

/// How far a process is, since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// Events that it has published, sent or settled.
    pub(crate) done: u64,
    /// Entries that were delivered to it again.
    pub(crate) repeated: u64,
    /// Streams that it has begun anew.
    pub(crate) repairs: u64,
}

impl Pulse {
    /// Says it to the parent.
    pub(super) fn say(self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{} {} {}", self.done, self.repeated, self.repairs)?;
        out.flush()
    }

    /// Reads what was said.
    pub(crate) fn hear(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            done: next()?,
            repeated: next()?,
            repairs: next()?,
        })
    }
}

/// Says what `look` sees, whenever it changed, for as long as it is polled.
pub(super) async fn beat(look: impl Fn() -> Pulse) -> anyhow::Result<()> {
    let mut said = Pulse::default();
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        interval.tick().await;
        let pulse = look();
        if pulse != said {
            pulse.say()?;
            said = pulse;
        }
    }
}
