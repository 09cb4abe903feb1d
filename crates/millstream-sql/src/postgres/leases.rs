use async_trait::async_trait;
use deadpool_postgres::Transaction;
use tokio_postgres::{GenericClient, Row};

use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{
    Checkpoint, Feed, Heartbeat, Identity, Lease, LeaseRow, Leases, Role,
};
use millstream_core::name::{AppName, DatabaseId, EventId, InstanceId, StreamName};

use crate::identifier::Prefix;
use crate::postgres::database::{Database, while_doing};
use crate::postgres::migrate::{self, TABLES_VERSION, meta};

#[async_trait]
impl Leases for Database {
    async fn identity(&self) -> Result<Identity, Error> {
        let db = self.connection("read who the database is").await?;
        let prefix = &self.options.prefix;
        let hint = || {
            Error::new(
                ErrorKind::Misconfigured,
                "our tables are missing or older: run `millstream migrate`",
            )
        };
        let unreadable =
            |error| Error::with_source(ErrorKind::Misconfigured, "our meta table", error);
        // An older program must not write into newer tables, nor a newer one into older.
        match migrate::version(&**db, prefix).await? {
            TABLES_VERSION => {}
            _ => return Err(hint()),
        }
        let database = meta(&**db, prefix, "database").await?.ok_or_else(hint)?;
        let application = meta(&**db, prefix, "application").await?.ok_or_else(hint)?;
        let identity = Identity {
            database: DatabaseId::new(database).map_err(unreadable)?,
            application: AppName::new(application).map_err(unreadable)?,
        };
        warn_of_lost_commits(&**db).await?;
        if identity.application != self.options.application {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the database belongs to application {}, not to {}",
                    identity.application, self.options.application
                ),
            ));
        }
        Ok(identity)
    }

    async fn beat(&self, instance: &InstanceId, role: Role) -> Result<Vec<Heartbeat>, Error> {
        const DOING: &str = "raise the heartbeat";
        let failed = while_doing(DOING);
        let db = self.connection(DOING).await?;
        let raise = db
            .prepare_cached(&self.sql(
                "INSERT INTO ~millstream_instances AS i (instance, role, count) VALUES ($1, $2, 1)
                 ON CONFLICT (instance, role) DO UPDATE SET count = i.count + 1",
            ))
            .await
            .map_err(failed)?;
        db.execute(&raise, &[&instance.as_str(), &role.as_str()])
            .await
            .map_err(failed)?;
        let sql = "SELECT instance, count FROM ~millstream_instances WHERE role = $1";
        let query = db.prepare_cached(&self.sql(sql)).await.map_err(failed)?;
        let rows = db.query(&query, &[&role.as_str()]).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                Ok(Heartbeat {
                    instance: name(row, 0, InstanceId::new)?,
                    role,
                    count: number(row, 1),
                })
            })
            .collect()
    }

    async fn register(&self, role: Role, feeds: &[Feed]) -> Result<(), Error> {
        const DOING: &str = "register feeds";
        let (mut streams, mut sources, mut shards) = (Vec::new(), Vec::new(), Vec::new());
        for (stream, source, shard) in feeds.iter().map(columns) {
            streams.push(stream);
            sources.push(source);
            shards.push(shard);
        }
        let db = self.connection(DOING).await?;
        db.execute(
            &self.sql(
                "INSERT INTO ~millstream_shards (role, stream, source, shard)
                 SELECT $1, f.stream, f.source, f.shard
                 FROM unnest($2::text[], $3::text[], $4::integer[]) AS f (stream, source, shard)
                 ORDER BY f.stream, f.source, f.shard
                 ON CONFLICT (role, stream, source, shard) DO NOTHING",
            ),
            &[&role.as_str(), &streams, &sources, &shards],
        )
        .await
        .map(drop)
        .map_err(while_doing(DOING))
    }

    async fn leases(&self, role: Role) -> Result<Vec<LeaseRow>, Error> {
        const DOING: &str = "read leases";
        let failed = while_doing(DOING);
        let db = self.connection(DOING).await?;
        let query = db
            .prepare_cached(&self.sql(
                "SELECT stream, source, shard, epoch, owner, generation, seq, event_id
                 FROM ~millstream_shards WHERE role = $1 ORDER BY stream, source, shard",
            ))
            .await
            .map_err(failed)?;
        let rows = db.query(&query, &[&role.as_str()]).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                let owner: Option<String> = row.get(4);
                Ok(LeaseRow {
                    feed: feed(row, 0)?,
                    epoch: number(row, 3),
                    owner: owner.and_then(|owner| InstanceId::new(owner).ok()),
                    checkpoint: checkpoint(row, 5),
                })
            })
            .collect()
    }

    async fn acquire(
        &self,
        instance: &InstanceId,
        role: Role,
        seen: &[LeaseRow],
    ) -> Result<Option<Vec<Lease>>, Error> {
        const DOING: &str = "acquire leases";
        let failed = while_doing(DOING);
        let mut db = self.connection(DOING).await?;
        let tx = db.transaction().await.map_err(failed)?;
        let update = tx
            .prepare_cached(&self.sql(
                "UPDATE ~millstream_shards SET epoch = epoch + 1, owner = $1
                 WHERE role = $2 AND stream = $3 AND source = $4 AND shard = $5 AND epoch = $6
                 RETURNING generation, seq, event_id",
            ))
            .await
            .map_err(failed)?;
        let mut leases = Vec::with_capacity(seen.len());
        for row in seen {
            let (stream, source, shard) = columns(&row.feed);
            let epoch = row.epoch.cast_signed();
            let taken = tx
                .query_opt(
                    &update,
                    &[
                        &instance.as_str(),
                        &role.as_str(),
                        &stream,
                        &source,
                        &shard,
                        &epoch,
                    ],
                )
                .await
                .map_err(failed)?;
            let Some(taken) = taken else {
                return Ok(None);
            };
            leases.push(Lease {
                role,
                feed: row.feed.clone(),
                epoch: row.epoch + 1,
                owner: instance.clone(),
                checkpoint: checkpoint(&taken, 0),
            });
        }
        tx.commit().await.map_err(failed)?;
        Ok(Some(leases))
    }

    async fn release(&self, leases: &[Lease]) -> Result<(), Error> {
        const DOING: &str = "release leases";
        let failed = while_doing(DOING);
        let mut db = self.connection(DOING).await?;
        let tx = db.transaction().await.map_err(failed)?;
        let update = tx
            .prepare_cached(&self.sql(
                "UPDATE ~millstream_shards SET owner = NULL
                 WHERE role = $1 AND stream = $2 AND source = $3 AND shard = $4
                   AND epoch = $5 AND owner = $6",
            ))
            .await
            .map_err(failed)?;
        for lease in leases {
            let (stream, source, shard) = columns(&lease.feed);
            let epoch = lease.epoch.cast_signed();
            tx.execute(
                &update,
                &[
                    &lease.role.as_str(),
                    &stream,
                    &source,
                    &shard,
                    &epoch,
                    &lease.owner.as_str(),
                ],
            )
            .await
            .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    async fn forget(&self, instance: &InstanceId, role: Role) -> Result<(), Error> {
        const DOING: &str = "forget an instance";
        let db = self.connection(DOING).await?;
        let sql = "DELETE FROM ~millstream_instances WHERE instance = $1 AND role = $2";
        db.execute(&self.sql(sql), &[&instance.as_str(), &role.as_str()])
            .await
            .map(drop)
            .map_err(while_doing(DOING))
    }

    async fn checkpoint(&self, lease: &Lease) -> Result<Option<Checkpoint>, Error> {
        const DOING: &str = "read a checkpoint";
        let failed = while_doing(DOING);
        let db = self.connection(DOING).await?;
        let (stream, source, shard) = columns(&lease.feed);
        // The lock waits for whatever is asked about: a connection may be gone before its commit is.
        let query = db
            .prepare_cached(&self.sql(
                "SELECT generation, seq, event_id FROM ~millstream_shards
                 WHERE role = $1 AND stream = $2 AND source = $3 AND shard = $4
                   AND ($5 OR (epoch = $6 AND owner = $7))
                 FOR SHARE",
            ))
            .await
            .map_err(failed)?;
        let row = db
            .query_opt(
                &query,
                &[
                    &lease.role.as_str(),
                    &stream,
                    &source,
                    &shard,
                    &lease.is_shared_out(),
                    &lease.epoch.cast_signed(),
                    &lease.owner.as_str(),
                ],
            )
            .await
            .map_err(failed)?;
        Ok(row.map(|row| checkpoint(&row, 0)))
    }
}

/// Says so where a commit may be gone after a crash that we have told others of. Our sessions turn
/// `synchronous_commit` on, but the user's own settings win.
async fn warn_of_lost_commits(db: &impl GenericClient) -> Result<(), Error> {
    let row = db
        .query_one(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync')",
            &[],
        )
        .await
        .map_err(while_doing("read the settings of a session"))?;
    let (synchronous_commit, fsync): (&str, &str) = (row.get(0), row.get(1));
    if synchronous_commit == "off" || fsync == "off" {
        tracing::warn!(
            synchronous_commit,
            fsync,
            "the server forgets commits in a crash that it has acknowledged"
        );
    }
    Ok(())
}

/// Sets the checkpoint if the lease still holds and it is where it should be, and returns the row's
/// number.
///
/// The one statement behind fence, order, dedupe and "did my commit get through?".
pub(super) async fn compare_and_set(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    lease: &Lease,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<i64, Error> {
    let failed = while_doing("set the checkpoint");
    let (stream, source, shard) = columns(&lease.feed);
    // Those that compete for a shared stream are each somewhere else: what keeps them from applying an
    // event twice is the inbox.
    let update = tx
        .prepare_cached(&prefix.sql(
            "UPDATE ~millstream_shards
             SET generation = $1, seq = $2, event_id = $3
             WHERE role = $4 AND stream = $5 AND source = $6 AND shard = $7
               AND ($8 OR (epoch = $9 AND owner = $10 AND generation = $11 AND seq = $12
                           AND event_id IS NOT DISTINCT FROM $13))
             RETURNING id",
        ))
        .await
        .map_err(failed)?;
    let row = tx
        .query_opt(
            &update,
            &[
                &to.at.high.cast_signed(),
                &to.at.low.cast_signed(),
                &to.event_id.as_ref().map(EventId::as_str),
                &lease.role.as_str(),
                &stream,
                &source,
                &shard,
                &lease.is_shared_out(),
                &lease.epoch.cast_signed(),
                &lease.owner.as_str(),
                &from.at.high.cast_signed(),
                &from.at.low.cast_signed(),
                &from.event_id.as_ref().map(EventId::as_str),
            ],
        )
        .await
        .map_err(failed)?;
    row.map(|row| row.get(0)).ok_or_else(|| {
        Error::new(
            ErrorKind::Fenced,
            format!("{}: lease or checkpoint moved", lease.feed),
        )
    })
}

/// Fails unless each lease still holds and its checkpoint is where it should be.
pub(super) async fn compare(
    tx: &Transaction<'_>,
    prefix: &Prefix,
    leases: &[Lease],
) -> Result<(), Error> {
    for lease in leases {
        compare_and_set(tx, prefix, lease, &lease.checkpoint, &lease.checkpoint).await?;
    }
    Ok(())
}

/// How a feed stands in `millstream_shards`: stream, source and shard.
pub(super) fn columns(feed: &Feed) -> (&str, &str, i32) {
    match feed {
        Feed::Owned(shard) => (
            shard.stream.as_str(),
            shard.owner.as_str(),
            i32::from(shard.number),
        ),
        Feed::Shared(stream) => (stream.as_str(), "", -1),
    }
}

/// Reads a feed from three columns.
pub(super) fn feed(row: &Row, first: usize) -> Result<Feed, Error> {
    let stream = name(row, first, StreamName::new)?;
    let shard: i32 = row.get(first + 2);
    Ok(match u16::try_from(shard) {
        Ok(number) => Feed::Owned(Shard {
            stream,
            owner: name(row, first + 1, AppName::new)?,
            number,
        }),
        Err(_) => Feed::Shared(stream),
    })
}

/// Reads a checkpoint from three columns.
pub(super) fn checkpoint(row: &Row, first: usize) -> Checkpoint {
    let event_id: Option<String> = row.get(first + 2);
    Checkpoint {
        at: EntryId::new(number(row, first), number(row, first + 1)),
        event_id: event_id.and_then(|id| EventId::new(id).ok()),
    }
}

/// Reads a name; a damaged one is an error of the table.
pub(super) fn name<T, E>(
    row: &Row,
    column: usize,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, Error>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get(column)).map_err(|error| {
        let context = format!("a damaged {} in our tables", row.columns()[column].name());
        Error::with_source(ErrorKind::Misconfigured, context, error)
    })
}

/// Reads a number that we wrote from a `u64`.
pub(super) fn number(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).cast_unsigned()
}
