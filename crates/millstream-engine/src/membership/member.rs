use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use millstream_core::error::Error;
use millstream_core::lease::{Lease, LeaseRow, Leases, Role};
use millstream_core::name::InstanceId;

use crate::membership::{Liveness, Unit, decide};

/// One instance's part in sharing the feeds of a role.
#[derive(Debug)]
pub(crate) struct Member {
    leases: Arc<dyn Leases>,
    role: Role,
    me: InstanceId,
    lease: Duration,
    liveness: Liveness,
}

/// What a look at the others led to.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Newly held.
    pub(crate) acquired: Vec<Vec<Lease>>,
    /// To be stopped and given back.
    pub(crate) release: Vec<Unit>,
}

/// Beats within one lease, so that some may fail.
const BEATS_PER_LEASE: u32 = 5;

/// No feed and no publisher waits longer to be found.
const INTERVAL_MAX: Duration = Duration::from_secs(2);

/// How long a stopping service waits for its database to take the leases back.
const LEAVE_MAX: Duration = Duration::from_secs(3);

/// How long a stopping service waits for what it has at hand. A server that does not answer may take
/// longer: what is open there is rolled back then, and nothing of it was told to anybody.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Waits for the tasks of a service that was told to stop.
pub(crate) async fn finish<T: 'static>(tasks: &mut JoinSet<T>) {
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_MAX, ended).await.is_err() {
        let seconds = STOP_MAX.as_secs();
        warn!("a server does not answer: stopping after {seconds} s without it");
        tasks.abort_all();
    }
}

impl Member {
    pub(crate) fn new(
        leases: Arc<dyn Leases>,
        role: Role,
        me: InstanceId,
        lease: Duration,
    ) -> Self {
        Self {
            liveness: Liveness::new(me.clone(), lease),
            leases,
            role,
            me,
            lease,
        }
    }

    /// How often to look.
    pub(crate) fn interval(&self) -> Duration {
        (self.lease / BEATS_PER_LEASE).min(INTERVAL_MAX)
    }

    /// Beats, looks at the others, and takes what is free and ours by share.
    pub(crate) async fn look(
        &mut self,
        units: impl FnOnce(Vec<LeaseRow>) -> Vec<Unit>,
        held: impl Fn(&Unit) -> bool,
    ) -> Result<Change, Error> {
        let heartbeats = match self.leases.beat(&self.me, self.role).await {
            Ok(heartbeats) => heartbeats,
            Err(error) => {
                self.liveness.interrupted();
                return Err(error);
            }
        };
        self.liveness.observe(&heartbeats, Instant::now());
        let units = units(self.leases.leases(self.role).await?);
        let decision = decide(&self.me, &self.liveness.living(), &units, held);

        let mut change = Change {
            acquired: Vec::new(),
            release: decision
                .release
                .into_iter()
                .map(|unit| units[unit].clone())
                .collect(),
        };
        for unit in decision.acquire {
            if let Some(leases) = self
                .leases
                .acquire(&self.me, self.role, &units[unit])
                .await?
            {
                change.acquired.push(leases);
            }
        }
        self.bury(&units).await?;
        Ok(change)
    }

    /// Removes the heartbeats of the dead, once nothing is in their name any more.
    async fn bury(&self, units: &[Unit]) -> Result<(), Error> {
        for dead in self.liveness.dead() {
            let owns = |row: &LeaseRow| row.owner.as_ref() == Some(&dead);
            if !units.iter().flatten().any(owns) {
                info!(instance = %dead, role = self.role.as_str(), "instance is gone");
                self.leases.forget(&dead, self.role).await?;
            }
        }
        Ok(())
    }

    /// Gives everything back, so that others need not wait for the lease to run out. A database that
    /// is away is not waited for longer than [`LEAVE_MAX`].
    pub(crate) async fn leave(&self, leases: &[Lease]) {
        let leave = async {
            self.leases.release(leases).await?;
            self.leases.forget(&self.me, self.role).await
        };
        if !matches!(tokio::time::timeout(LEAVE_MAX, leave).await, Ok(Ok(()))) {
            warn!("leases could not be given back; others take over after the lease");
        }
    }
}
