//! A shared stream: a queue with a consumer group, deduped by event id.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::lease::{Checkpoint, Feed, Lease};
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;

use crate::consumer::judge::Judge;
use crate::consumer::settler::{Settler, Stop};

/// Bytes of one read.
const READ_BYTES_MAX: usize = 1024 * 1024;

/// How long a read waits for the first entry.
const READ_WAIT: Duration = Duration::from_secs(2);

/// Works on the shared stream until it is told to stop or has lost the lease, and returns the lease.
pub(super) async fn run(
    stream: StreamName,
    mut settler: Settler,
    judge: Arc<Judge>,
    cancel: CancellationToken,
) -> Lease {
    let worker = Worker {
        stream,
        judge,
        cancel,
    };
    loop {
        match worker.work(&mut settler).await {
            Stop::Moved => {}
            Stop::Lost | Stop::Rewound | Stop::Cancelled => return settler.lease,
        }
    }
}

struct Worker {
    stream: StreamName,
    judge: Arc<Judge>,
    cancel: CancellationToken,
}

impl Worker {
    async fn work(&self, settler: &mut Settler) -> Stop {
        loop {
            let limit = ReadLimit {
                count: settler.batch_size(),
                bytes: READ_BYTES_MAX,
            };
            let step = async {
                // Whoever held the lease before may have taken entries and died, or may take some
                // still while its last read is on the way: they come first, in the order of ids.
                while let Some(entries) = self.claim(settler, limit).await? {
                    self.settle(settler, entries).await?;
                }
                let queue = settler.transport.queue.clone();
                let read = queue.read_group(&self.stream, &settler.member, limit, READ_WAIT);
                let entries = tokio::select! {
                    entries = read => entries,
                    () = self.cancel.cancelled() => return Err(Stop::Cancelled),
                };
                if entries.is_ok() {
                    settler.resume();
                }
                match entries {
                    Ok(entries) if entries.is_empty() => Ok(()),
                    Ok(entries) => {
                        while let Some(earlier) = self.claim_of_others(settler, limit).await? {
                            self.settle(settler, earlier).await?;
                        }
                        self.settle(settler, entries).await
                    }
                    Err(error) => self.wait_out(settler, &error).await,
                }
            };
            if let Err(stop) = step.await {
                return stop;
            }
        }
    }

    /// The next pending entries of the group, whoever holds them; none when nothing is pending.
    async fn claim(
        &self,
        settler: &mut Settler,
        limit: ReadLimit,
    ) -> Result<Option<Vec<Entry>>, Stop> {
        loop {
            let queue = settler.transport.queue.clone();
            let claimed = queue
                .claim(
                    &self.stream,
                    &settler.member,
                    Duration::ZERO,
                    EntryId::ZERO,
                    limit,
                )
                .await;
            match claimed {
                Ok(claimed) => {
                    if !claimed.gone.is_empty() {
                        let gone = claimed.gone.len();
                        warn!(stream = %self.stream, gone, "pending entries were removed from the stream before they were settled");
                    }
                    return Ok((!claimed.entries.is_empty()).then_some(claimed.entries));
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
    }

    /// As [`claim`](Self::claim), but only if somebody else holds something.
    async fn claim_of_others(
        &self,
        settler: &mut Settler,
        limit: ReadLimit,
    ) -> Result<Option<Vec<Entry>>, Stop> {
        loop {
            let pending = settler
                .transport
                .queue
                .pending(
                    &self.stream,
                    &settler.member.group,
                    EntryId::ZERO,
                    limit.count,
                )
                .await;
            match pending {
                Ok(pending) => {
                    let other = |entry: &millstream_core::queue::PendingEntry| {
                        entry.consumer != settler.member.consumer
                    };
                    if !pending.iter().any(other) {
                        return Ok(None);
                    }
                    return self.claim(settler, limit).await;
                }
                Err(error) => self.wait_out(settler, &error).await?,
            }
        }
    }

    async fn settle(&self, settler: &mut Settler, entries: Vec<Entry>) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let feed = Feed::Shared(self.stream.clone());
        let mut to = settler.committed.clone();
        let mut deliveries = Vec::with_capacity(entries.len());
        let mut passed_over = Vec::new();
        for entry in entries {
            let id = entry.id;
            let judged = self.judge.judge(&feed, entry);
            match judged.delivery {
                Some(delivery) => deliveries.push(delivery),
                None => passed_over.push(id),
            }
            if id > to.at {
                to = Checkpoint {
                    at: id,
                    event_id: judged.at.event_id,
                };
            }
        }
        if !deliveries.is_empty() {
            settler.settle(deliveries, to, &self.cancel).await?;
        }
        settler.ack_passed_over(&passed_over, &self.cancel).await
    }

    async fn wait_out(&self, settler: &mut Settler, error: &Error) -> Result<(), Stop> {
        settler.pause(error);
        if settler.backoff.wait(&self.cancel).await {
            Ok(())
        } else {
            Err(Stop::Cancelled)
        }
    }
}
