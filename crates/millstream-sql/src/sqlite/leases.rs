use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, named_params};

use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{
    Checkpoint, Feed, Heartbeat, Identity, Lease, LeaseRow, Leases, Role,
};
use millstream_core::name::{AppName, DatabaseId, EventId, InstanceId, StreamName};

use crate::identifier::Prefix;
use crate::sqlite::database::{Database, while_doing};
use crate::sqlite::migrate::{self, TABLES_VERSION, meta};

#[async_trait]
impl Leases for Database {
    async fn identity(&self) -> Result<Identity, Error> {
        self.read(|db, options| {
            let hint = || {
                Error::new(
                    ErrorKind::Misconfigured,
                    format!(
                        "{}: our tables are missing or older: run `millstream migrate`",
                        options.sqlite.location
                    ),
                )
            };
            let read = |name| match meta(db, &options.prefix, name) {
                Ok(value) => value.ok_or_else(hint),
                Err(error) if error.kind() == ErrorKind::Misconfigured => Err(hint()),
                Err(error) => Err(error),
            };
            let unreadable =
                |error| Error::with_source(ErrorKind::Misconfigured, "our meta table", error);
            // An older program must not write into newer tables, nor a newer one into older.
            match migrate::version(db, &options.prefix)? {
                TABLES_VERSION => {}
                _ => return Err(hint()),
            }
            let identity = Identity {
                database: DatabaseId::new(read("database")?).map_err(unreadable)?,
                application: AppName::new(read("application")?).map_err(unreadable)?,
            };
            if identity.application != options.application {
                return Err(Error::new(
                    ErrorKind::Misconfigured,
                    format!(
                        "{} belongs to application {}, not to {}",
                        options.sqlite.location, identity.application, options.application
                    ),
                ));
            }
            Ok(identity)
        })
        .await
    }

    async fn beat(&self, instance: &InstanceId, role: Role) -> Result<Vec<Heartbeat>, Error> {
        let instance = instance.clone();
        self.write(move |db, options| {
            let failed = while_doing("raise the heartbeat");
            db.prepare_cached(&options.prefix.sql(
                "INSERT INTO ~millstream_instances (instance, role, count) VALUES (?1, ?2, 1)
                 ON CONFLICT (instance, role) DO UPDATE SET count = count + 1",
            ))
            .and_then(|mut statement| statement.execute([instance.as_str(), role.as_str()]))
            .map_err(&failed)?;

            let sql = "SELECT instance, count FROM ~millstream_instances WHERE role = ?1";
            let mut query = db
                .prepare_cached(&options.prefix.sql(sql))
                .map_err(&failed)?;
            let rows = query
                .query_map([role.as_str()], |row| {
                    Ok(Heartbeat {
                        instance: name(row, 0, InstanceId::new)?,
                        role,
                        count: number(row, 1)?,
                    })
                })
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    async fn register(&self, role: Role, feeds: &[Feed]) -> Result<(), Error> {
        let feeds = feeds.to_vec();
        self.write(move |db, options| {
            let failed = while_doing("register feeds");
            let tx = immediate(db, &failed)?;
            {
                let mut insert = tx
                    .prepare_cached(&options.prefix.sql(
                        "INSERT INTO ~millstream_shards (role, stream, source, shard)
                         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (role, stream, source, shard) DO NOTHING",
                    ))
                    .map_err(&failed)?;
                for feed in &feeds {
                    let (stream, source, shard) = columns(feed);
                    insert
                        .execute((role.as_str(), stream, source, shard))
                        .map_err(&failed)?;
                }
            }
            tx.commit().map_err(&failed)
        })
        .await
    }

    async fn leases(&self, role: Role) -> Result<Vec<LeaseRow>, Error> {
        self.read(move |db, options| {
            let failed = while_doing("read leases");
            let mut query = db
                .prepare_cached(&options.prefix.sql(
                    "SELECT stream, source, shard, epoch, owner, generation, seq, event_id
                     FROM ~millstream_shards WHERE role = ?1 ORDER BY stream, source, shard",
                ))
                .map_err(&failed)?;
            let rows = query
                .query_map([role.as_str()], |row| {
                    let owner: Option<String> = row.get(4)?;
                    Ok(LeaseRow {
                        feed: feed(row, 0)?,
                        epoch: number(row, 3)?,
                        owner: owner.and_then(|owner| InstanceId::new(owner).ok()),
                        checkpoint: checkpoint(row, 5)?,
                    })
                })
                .map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    async fn acquire(
        &self,
        instance: &InstanceId,
        role: Role,
        seen: &[LeaseRow],
    ) -> Result<Option<Vec<Lease>>, Error> {
        let instance = instance.clone();
        let seen = seen.to_vec();
        self.write(move |db, options| {
            let failed = while_doing("acquire leases");
            let tx = immediate(db, &failed)?;
            let mut leases = Vec::with_capacity(seen.len());
            for row in &seen {
                let (stream, source, shard) = columns(&row.feed);
                let taken = tx
                    .prepare_cached(&options.prefix.sql(
                        "UPDATE ~millstream_shards SET epoch = epoch + 1, owner = :owner
                         WHERE role = :role AND stream = :stream AND source = :source
                           AND shard = :shard AND epoch = :epoch",
                    ))
                    .and_then(|mut update| {
                        update.execute(named_params! {
                            ":owner": instance.as_str(), ":role": role.as_str(),
                            ":stream": stream, ":source": source, ":shard": shard,
                            ":epoch": row.epoch.cast_signed(),
                        })
                    })
                    .map_err(&failed)?;
                if taken == 0 {
                    return Ok(None);
                }
                let mut lease = Lease {
                    role,
                    feed: row.feed.clone(),
                    epoch: row.epoch + 1,
                    owner: instance.clone(),
                    checkpoint: Checkpoint::default(),
                };
                lease.checkpoint = read_checkpoint(&tx, &options.prefix, &lease)
                    .map_err(&failed)?
                    .expect("the row was just taken in this transaction");
                leases.push(lease);
            }
            tx.commit().map_err(&failed)?;
            Ok(Some(leases))
        })
        .await
    }

    async fn release(&self, leases: &[Lease]) -> Result<(), Error> {
        let leases = leases.to_vec();
        self.write(move |db, options| {
            let failed = while_doing("release leases");
            let tx = immediate(db, &failed)?;
            for lease in &leases {
                let (stream, source, shard) = columns(&lease.feed);
                tx.prepare_cached(&options.prefix.sql(
                    "UPDATE ~millstream_shards SET owner = NULL
                     WHERE role = :role AND stream = :stream AND source = :source
                       AND shard = :shard AND epoch = :epoch AND owner = :owner",
                ))
                .and_then(|mut update| {
                    update.execute(named_params! {
                        ":role": lease.role.as_str(), ":stream": stream, ":source": source,
                        ":shard": shard, ":epoch": lease.epoch.cast_signed(),
                        ":owner": lease.owner.as_str(),
                    })
                })
                .map_err(&failed)?;
            }
            tx.commit().map_err(&failed)
        })
        .await
    }

    async fn forget(&self, instance: &InstanceId, role: Role) -> Result<(), Error> {
        let instance = instance.clone();
        self.write(move |db, options| {
            let sql = "DELETE FROM ~millstream_instances WHERE instance = ?1 AND role = ?2";
            db.execute(&options.prefix.sql(sql), [instance.as_str(), role.as_str()])
                .map(drop)
                .map_err(while_doing("forget an instance"))
        })
        .await
    }

    async fn checkpoint(&self, lease: &Lease) -> Result<Option<Checkpoint>, Error> {
        let lease = lease.clone();
        // On the writer: whatever is asked about has ended there before.
        self.write(move |db, options| {
            read_checkpoint(db, &options.prefix, &lease).map_err(while_doing("read a checkpoint"))
        })
        .await
    }
}

/// Begins a transaction that holds the write lock from the start: one that only asks for it later
/// fails at once when another program wrote in between (`SQLITE_BUSY_SNAPSHOT`).
pub(super) fn immediate<'a>(
    db: &'a mut rusqlite::Connection,
    failed: impl Fn(rusqlite::Error) -> Error,
) -> Result<rusqlite::Transaction<'a>, Error> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)
}

/// Sets the checkpoint if the lease still holds and it is where it should be, and returns the row's
/// number.
///
/// The one statement behind fence, order, dedupe and "did my commit get through?".
pub(super) fn compare_and_set(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    lease: &Lease,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<i64, Error> {
    let failed = while_doing("set the checkpoint");
    let (stream, source, shard) = columns(&lease.feed);
    // Those that compete for a shared stream are each somewhere else: what keeps them from applying an
    // event twice is the inbox.
    let row: Option<i64> = tx
        .prepare_cached(&prefix.sql(
            "UPDATE ~millstream_shards
             SET generation = :generation, seq = :seq, event_id = :event_id
             WHERE role = :role AND stream = :stream AND source = :source AND shard = :shard
               AND (:shared_out OR (epoch = :epoch AND owner = :owner
                                    AND generation = :from_generation AND seq = :from_seq
                                    AND event_id IS :from_event_id))
             RETURNING id",
        ))
        .and_then(|mut update| {
            update
                .query_row(
                    named_params! {
                        ":generation": to.at.high.cast_signed(), ":seq": to.at.low.cast_signed(),
                        ":event_id": to.event_id.as_ref().map(EventId::as_str),
                        ":role": lease.role.as_str(), ":stream": stream, ":source": source,
                        ":shard": shard, ":epoch": lease.epoch.cast_signed(),
                        ":owner": lease.owner.as_str(),
                        ":shared_out": lease.is_shared_out(),
                        ":from_generation": from.at.high.cast_signed(),
                        ":from_seq": from.at.low.cast_signed(),
                        ":from_event_id": from.event_id.as_ref().map(EventId::as_str),
                    },
                    |row| row.get(0),
                )
                .optional()
        })
        .map_err(failed)?;
    row.ok_or_else(|| {
        Error::new(
            ErrorKind::Fenced,
            format!("{}: lease or checkpoint moved", lease.feed),
        )
    })
}

/// Fails unless each lease still holds and its checkpoint is where it should be.
pub(super) fn compare(
    tx: &rusqlite::Transaction<'_>,
    prefix: &Prefix,
    leases: &[Lease],
) -> Result<(), Error> {
    for lease in leases {
        compare_and_set(tx, prefix, lease, &lease.checkpoint, &lease.checkpoint)?;
    }
    Ok(())
}

fn read_checkpoint(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    lease: &Lease,
) -> rusqlite::Result<Option<Checkpoint>> {
    let (stream, source, shard) = columns(&lease.feed);
    db.prepare_cached(&prefix.sql(
        "SELECT generation, seq, event_id FROM ~millstream_shards
         WHERE role = :role AND stream = :stream AND source = :source AND shard = :shard
           AND (:shared_out OR (epoch = :epoch AND owner = :owner))",
    ))?
    .query_row(
        named_params! {
            ":role": lease.role.as_str(), ":stream": stream, ":source": source, ":shard": shard,
            ":epoch": lease.epoch.cast_signed(), ":owner": lease.owner.as_str(),
            ":shared_out": lease.is_shared_out(),
        },
        |row| checkpoint(row, 0),
    )
    .optional()
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
pub(super) fn feed(row: &Row<'_>, first: usize) -> rusqlite::Result<Feed> {
    let stream = name(row, first, StreamName::new)?;
    let shard: i64 = row.get(first + 2)?;
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
pub(super) fn checkpoint(row: &Row<'_>, first: usize) -> rusqlite::Result<Checkpoint> {
    let event_id: Option<String> = row.get(first + 2)?;
    Ok(Checkpoint {
        at: EntryId::new(number(row, first)?, number(row, first + 1)?),
        event_id: event_id.and_then(|id| EventId::new(id).ok()),
    })
}

/// Reads a name; a damaged one is an error of the column.
pub(super) fn name<T, E>(
    row: &Row<'_>,
    column: usize,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> rusqlite::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    parse(row.get(column)?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

/// Reads a number that we wrote from a `u64`.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}
