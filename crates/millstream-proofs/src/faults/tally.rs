use std::collections::BTreeMap;
use std::fmt;

use crate::faults::fault::Fault;

/// What has happened in a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How often each fault did.
    counts: BTreeMap<String, u64>,
    /// Entries that were really gone from the server.
    pub(super) lost: u64,
    /// Those among them that some follower had not settled.
    pub(super) unsettled: u64,
}

impl Tally {
    pub(super) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault.to_string()).or_default() += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (fault, times)) in self.counts.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(f, "{comma}{fault} {times}")?;
        }
        write!(
            f,
            "; {} entries lost, {} of them not settled",
            self.lost, self.unsettled
        )
    }
}
