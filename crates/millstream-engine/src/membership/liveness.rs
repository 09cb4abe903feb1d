use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use millstream_core::lease::Heartbeat;
use millstream_core::name::InstanceId;

/// Tells the living from the dead by watching their counters.
#[derive(Debug)]
pub struct Liveness {
    me: InstanceId,
    lease: Duration,
    /// Each instance's last count, and for how long it has not changed while we could write.
    seen: BTreeMap<InstanceId, (u64, Duration)>,
    last: Option<Instant>,
}

impl Liveness {
    /// Nobody is dead before `lease` of watching.
    pub fn new(me: InstanceId, lease: Duration) -> Self {
        Self {
            me,
            lease,
            seen: BTreeMap::new(),
            last: None,
        }
    }

    /// Takes in everybody's heartbeats, right after a beat of our own succeeded.
    pub fn observe(&mut self, heartbeats: &[Heartbeat], now: Instant) {
        let elapsed = self
            .last
            .map_or(Duration::ZERO, |last| now.duration_since(last));
        // We may have been asleep ourselves: one look never counts for more than half the lease.
        let elapsed = elapsed.min(self.lease / 2);
        self.last = Some(now);

        let mut seen = BTreeMap::new();
        for beat in heartbeats {
            let unchanged = match self.seen.get(&beat.instance) {
                Some(&(count, unchanged)) if count == beat.count => unchanged + elapsed,
                _ => Duration::ZERO,
            };
            seen.insert(beat.instance.clone(), (beat.count, unchanged));
        }
        self.seen = seen;
    }

    /// Our own beat failed: until the next one succeeds, silence of others says nothing.
    pub fn interrupted(&mut self) {
        self.last = None;
    }

    /// The instances that raised their counter within the lease.
    pub fn living(&self) -> BTreeSet<InstanceId> {
        let alive = |(instance, &(_, unchanged)): (&InstanceId, &(u64, Duration))| {
            (*instance == self.me || unchanged < self.lease).then(|| instance.clone())
        };
        self.seen
            .iter()
            .filter_map(alive)
            .chain([self.me.clone()])
            .collect()
    }

    /// The instances that did not.
    pub fn dead(&self) -> Vec<InstanceId> {
        let living = self.living();
        self.seen
            .keys()
            .filter(|instance| !living.contains(*instance))
            .cloned()
            .collect()
    }
}
