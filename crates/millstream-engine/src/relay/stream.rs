//! One stream of an application: all of its shards under one lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use millstream_core::entry::EntryId;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::log::{Descriptor, Log};
use millstream_core::name::EventId;
use millstream_core::outbox::{Outbox, OutboxRow};
use millstream_core::retry::RetryPolicy;

use crate::backoff::Backoff;
use crate::relay::shard::{Divergence, Sender, Step};
use crate::status::{Handle, State};

/// How long an idle relay waits for rows before it looks around.
const WAIT: Duration = Duration::from_secs(1);

/// How often the streams are compared with the outbox, and what is published announced again.
const CHECK_INTERVAL: Duration = Duration::from_secs(3);

/// The relay of one stream while it holds the leases on all of its shards.
#[derive(Debug)]
pub(super) struct StreamRelay {
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) log: Arc<dyn Log>,
    pub(super) handle: Handle,
    pub(super) descriptor: Descriptor,
    pub(super) leases: Vec<Lease>,
    pub(super) batch_max: usize,
    pub(super) cancel: CancellationToken,
}

impl StreamRelay {
    /// Sends until it is told to stop or has lost the leases, and returns them.
    pub(super) async fn run(mut self) -> Vec<Lease> {
        let mut senders = self.senders();
        let mut backoff = Backoff::new(RetryPolicy::OUTAGE, self.leases[0].epoch);
        let mut checked: Option<Instant> = None;
        while !self.cancel.is_cancelled() {
            match self.step(&mut senders, &mut checked).await {
                Ok(()) => {
                    if backoff.failures() > 0 {
                        backoff.succeeded();
                        info!(stream = %self.descriptor.stream, "relay resumed");
                        for lease in &self.leases {
                            self.handle.resume(&lease.feed);
                        }
                    }
                }
                Err(reason) if reason.kind() == ErrorKind::Fenced => {
                    match self.reload(&mut senders).await {
                        Ok(true) => {}
                        Ok(false) => {
                            info!(stream = %self.descriptor.stream, "lease went to another relay");
                            break;
                        }
                        Err(reason) => self.pause(&reason),
                    }
                    if !backoff.wait(&self.cancel).await {
                        break;
                    }
                }
                Err(reason) => {
                    self.pause(&reason);
                    if !backoff.wait(&self.cancel).await {
                        break;
                    }
                }
            }
        }
        self.leases
    }

    fn senders(&self) -> Vec<Sender> {
        let sender = |lease: &Lease| match &lease.feed {
            Feed::Owned(shard) => Some(Sender {
                outbox: self.outbox.clone(),
                log: self.log.clone(),
                shard: shard.clone(),
                top: lease.checkpoint.clone(),
                appended: None,
            }),
            Feed::Shared(_) => None,
        };
        self.leases.iter().filter_map(sender).collect()
    }

    async fn step(
        &mut self,
        senders: &mut [Sender],
        checked: &mut Option<Instant>,
    ) -> Result<(), Error> {
        if checked.is_none_or(|checked| checked.elapsed() >= CHECK_INTERVAL) {
            self.log.announce(&self.descriptor).await?;
            for sender in senders.iter_mut() {
                let step = match sender.judge().await? {
                    Ok(_) => Step::Sent(0),
                    Err(divergence) => Step::Diverged(divergence),
                };
                self.took(sender, step).await?;
            }
            *checked = Some(Instant::now());
        }
        for sender in senders.iter_mut().filter(|sender| sender.is_behind()) {
            let step = sender.catch_up().await?;
            self.took(sender, step).await?;
        }

        let rows = self.outbox.number(&self.leases, self.batch_max).await?;
        if rows.is_empty() {
            tokio::select! {
                () = self.outbox.wait(&self.descriptor.stream, WAIT) => {}
                () = self.cancel.cancelled() => {}
            }
            return Ok(());
        }
        self.raise(senders, &rows);
        let mut by_shard: Vec<Vec<OutboxRow>> = senders.iter().map(|_| Vec::new()).collect();
        for row in rows {
            by_shard[usize::from(row.shard)].push(row);
        }
        for (sender, rows) in senders.iter_mut().zip(&by_shard) {
            if !rows.is_empty() {
                let step = sender.send(rows).await?;
                self.took(sender, step).await?;
            }
        }
        Ok(())
    }

    /// Follows in memory what numbering has done in the database, for all shards before anything is
    /// appended to one: whatever fails then is caught up with.
    fn raise(&mut self, senders: &mut [Sender], rows: &[OutboxRow]) {
        for row in rows {
            let id = std::str::from_utf8(&row.event_id)
                .ok()
                .and_then(|id| EventId::new(id).ok());
            let top = Checkpoint {
                at: row.at,
                event_id: id,
            };
            senders[usize::from(row.shard)].top = top.clone();
            self.leases[usize::from(row.shard)].checkpoint = top;
        }
    }

    /// After a failed comparison: reads the tops again. False if the leases are lost.
    async fn reload(&mut self, senders: &mut [Sender]) -> Result<bool, Error> {
        for (lease, sender) in self.leases.iter_mut().zip(senders) {
            match self.outbox.checkpoint(lease).await? {
                Some(checkpoint) => {
                    sender.top = checkpoint.clone();
                    lease.checkpoint = checkpoint;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn took(&self, sender: &Sender, step: Step) -> Result<(), Error> {
        match step {
            Step::Sent(sent) => {
                let at = sender.appended.unwrap_or(EntryId::ZERO);
                self.handle.update(|status| status.sent += sent);
                self.handle
                    .update_feed(&Feed::Owned(sender.shard.clone()), |feed| {
                        feed.at = at;
                        if !sender.is_behind() && matches!(feed.state, State::Stalled(_)) {
                            feed.state = State::Running;
                        }
                    });
            }
            Step::Diverged(divergence) => self.diverged(sender, &divergence).await?,
        }
        Ok(())
    }

    async fn diverged(&self, sender: &Sender, divergence: &Divergence) -> Result<(), Error> {
        // A relay that has lost its lease sees what its successor sent: that is no divergence.
        let lease = &self.leases[usize::from(sender.shard.number)];
        if self.outbox.checkpoint(lease).await?.is_none() {
            return Err(Error::new(
                ErrorKind::Fenced,
                format!("{}: lease lost", sender.shard),
            ));
        }
        let feed = Feed::Owned(sender.shard.clone());
        if self
            .handle
            .set_state(&feed, State::Stalled(divergence.to_string()))
        {
            error!(%feed, %divergence, "stalled: nothing is sent to this shard");
        }
        Ok(())
    }

    fn pause(&self, reason: &Error) {
        let state = State::Paused(reason.to_string());
        let set = |lease: &&Lease| self.handle.set_state(&lease.feed, state.clone());
        if self.leases.iter().filter(set).count() > 0 {
            warn!(stream = %self.descriptor.stream, %reason, "relay paused");
        }
    }
}
