use async_trait::async_trait;
use mysql_async::Value;

use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::{
    Checkpoint, Feed, Heartbeat, Identity, Lease, LeaseRow, Leases, Role,
};
use millstream_core::name::{AppName, DatabaseId, EventId, InstanceId};

use crate::identifier::Prefix;
use crate::mysql::database::Database;
use crate::mysql::migrate::{self, TABLES_VERSION, meta};
use crate::mysql::row::{checkpoint, feed, name, number, text};
use crate::mysql::session::{Session, values};

#[async_trait]
impl Leases for Database {
    async fn identity(&self) -> Result<Identity, Error> {
        let options = &self.options;
        let hint = || {
            Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "{}: our tables are missing or older: run `millstream migrate`",
                    options.server
                ),
            )
        };
        let mut session = self.session().await?;
        // An older program must not write into newer tables, nor a newer one into older.
        if migrate::version(&mut session, &options.prefix).await? != TABLES_VERSION {
            return Err(hint());
        }
        let unreadable =
            |error| Error::with_source(ErrorKind::Misconfigured, "our meta table", error);
        let database = meta(&mut session, &options.prefix, "database").await?;
        let application = meta(&mut session, &options.prefix, "application").await?;
        let identity = Identity {
            database: DatabaseId::new(database.ok_or_else(hint)?).map_err(unreadable)?,
            application: AppName::new(application.ok_or_else(hint)?).map_err(unreadable)?,
        };
        session.give_back();
        if identity.application != options.application {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "{} belongs to application {}, not to {}",
                    options.server, identity.application, options.application
                ),
            ));
        }
        Ok(identity)
    }

    async fn beat(&self, instance: &InstanceId, role: Role) -> Result<Vec<Heartbeat>, Error> {
        let doing = "raise the heartbeat";
        let mut session = self.session().await?;
        let sql = self.sql(
            "INSERT INTO ~millstream_instances (instance, role, count) VALUES (?, ?, 1)
             ON DUPLICATE KEY UPDATE count = count + 1",
        );
        let own = values![instance.as_str(), role.as_str()];
        session.run(doing, &sql, own).await?;

        let sql = self.sql("SELECT instance, count FROM ~millstream_instances WHERE role = ?");
        let rows = session.all(doing, &sql, values![role.as_str()]).await?;
        session.give_back();
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
        let doing = "register feeds";
        let sql = self.sql(
            "INSERT INTO ~millstream_shards (role, stream, source, shard) VALUES (?, ?, ?, ?)
             ON DUPLICATE KEY UPDATE role = role",
        );
        let rows = feeds.iter().map(|feed| place(role, feed)).collect();
        let mut session = self.begin(doing).await?;
        session.batch(doing, &sql, rows).await?;
        session.commit(doing).await
    }

    async fn leases(&self, role: Role) -> Result<Vec<LeaseRow>, Error> {
        let sql = self.sql(
            "SELECT stream, source, shard, epoch, owner, generation, seq, event_id
             FROM ~millstream_shards WHERE role = ? ORDER BY stream, source, shard",
        );
        let mut session = self.session().await?;
        let rows = session
            .all("read leases", &sql, values![role.as_str()])
            .await?;
        session.give_back();
        rows.iter()
            .map(|row| {
                Ok(LeaseRow {
                    feed: feed(row, 0)?,
                    epoch: number(row, 3),
                    owner: text(row, 4).and_then(|owner| InstanceId::new(owner).ok()),
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
        let doing = "acquire leases";
        let sql = self.sql(
            "UPDATE ~millstream_shards SET epoch = epoch + 1, owner = ?
             WHERE role = ? AND stream = ? AND source = ? AND shard = ? AND epoch = ?",
        );
        // Two instances that want the same rows take them in the same order.
        let mut in_order: Vec<usize> = (0..seen.len()).collect();
        in_order.sort_by_key(|&index| &seen[index].feed);

        let mut session = self.begin(doing).await?;
        let mut leases: Vec<Option<Lease>> = vec![None; seen.len()];
        for index in in_order {
            let row = &seen[index];
            let mut parameters = values![instance.as_str()];
            parameters.extend(place(role, &row.feed));
            parameters.push(row.epoch.cast_signed().into());
            if session.run(doing, &sql, parameters).await? == 0 {
                session.plain(doing, "ROLLBACK").await?;
                session.give_back();
                return Ok(None);
            }
            let mut lease = Lease {
                role,
                feed: row.feed.clone(),
                epoch: row.epoch + 1,
                owner: instance.clone(),
                checkpoint: Checkpoint::default(),
            };
            lease.checkpoint = read_checkpoint(&mut session, &self.options.prefix, &lease)
                .await?
                .expect("the row was just taken in this transaction");
            leases[index] = Some(lease);
        }
        session.commit(doing).await?;
        Ok(leases.into_iter().collect())
    }

    async fn release(&self, leases: &[Lease]) -> Result<(), Error> {
        let doing = "release leases";
        let sql = self.sql(
            "UPDATE ~millstream_shards SET owner = NULL
             WHERE role = ? AND stream = ? AND source = ? AND shard = ? AND epoch = ? AND owner = ?",
        );
        let mut in_order: Vec<&Lease> = leases.iter().collect();
        in_order.sort_by_key(|lease| &lease.feed);
        let mut session = self.begin(doing).await?;
        for lease in in_order {
            let mut parameters = place(lease.role, &lease.feed);
            parameters.extend(values![lease.epoch.cast_signed(), lease.owner.as_str()]);
            session.run(doing, &sql, parameters).await?;
        }
        session.commit(doing).await
    }

    async fn forget(&self, instance: &InstanceId, role: Role) -> Result<(), Error> {
        let sql = self.sql("DELETE FROM ~millstream_instances WHERE instance = ? AND role = ?");
        let mut session = self.session().await?;
        let own = values![instance.as_str(), role.as_str()];
        session.run("forget an instance", &sql, own).await?;
        session.give_back();
        Ok(())
    }

    async fn checkpoint(&self, lease: &Lease) -> Result<Option<Checkpoint>, Error> {
        let mut session = self.session().await?;
        let checkpoint = read_checkpoint(&mut session, &self.options.prefix, lease).await?;
        session.give_back();
        Ok(checkpoint)
    }
}

/// Sets the checkpoint if the lease still holds and it is where it should be, and returns the row's
/// number.
///
/// The one statement behind fence, order, dedupe and "did my commit get through?".
pub(super) async fn compare_and_set(
    session: &mut Session,
    prefix: &Prefix,
    lease: &Lease,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<i64, Error> {
    // Those that compete for a shared stream are each somewhere else: what keeps them from applying an
    // event twice is the inbox.
    let sql = prefix.sql(
        "UPDATE ~millstream_shards
         SET generation = ?, seq = ?, event_id = ?, id = last_insert_id(id)
         WHERE role = ? AND stream = ? AND source = ? AND shard = ?
           AND (? OR (epoch = ? AND owner = ? AND generation = ? AND seq = ? AND event_id <=> ?))",
    );
    let mut parameters = position(to);
    parameters.extend(place(lease.role, &lease.feed));
    parameters.extend(values![
        lease.is_shared_out(),
        lease.epoch.cast_signed(),
        lease.owner.as_str(),
    ]);
    parameters.extend(position(from));
    let found = session.run("set the checkpoint", &sql, parameters).await?;
    match session.last_insert_id() {
        Some(id) if found > 0 => Ok(id.cast_signed()),
        _ => Err(Error::new(
            ErrorKind::Fenced,
            format!("{}: lease or checkpoint moved", lease.feed),
        )),
    }
}

/// Fails unless each lease still holds and its checkpoint is where it should be.
pub(super) async fn compare(
    session: &mut Session,
    prefix: &Prefix,
    leases: &[Lease],
) -> Result<(), Error> {
    for lease in leases {
        compare_and_set(session, prefix, lease, &lease.checkpoint, &lease.checkpoint).await?;
    }
    Ok(())
}

/// Waits for a transaction that holds the row: one whose commit was cut off may still be under way, and
/// its end is the answer.
async fn read_checkpoint(
    session: &mut Session,
    prefix: &Prefix,
    lease: &Lease,
) -> Result<Option<Checkpoint>, Error> {
    let sql = prefix.sql(
        "SELECT generation, seq, event_id FROM ~millstream_shards
         WHERE role = ? AND stream = ? AND source = ? AND shard = ?
           AND (? OR (epoch = ? AND owner = ?)) LOCK IN SHARE MODE",
    );
    let mut parameters = place(lease.role, &lease.feed);
    parameters.extend(values![
        lease.is_shared_out(),
        lease.epoch.cast_signed(),
        lease.owner.as_str(),
    ]);
    let row = session.first("read a checkpoint", &sql, parameters).await?;
    Ok(row.map(|row| checkpoint(&row, 0)))
}

/// How a feed stands in `millstream_shards`: role, stream, source and shard.
pub(super) fn place(role: Role, feed: &Feed) -> Vec<Value> {
    match feed {
        Feed::Owned(shard) => values![
            role.as_str(),
            shard.stream.as_str(),
            shard.owner.as_str(),
            i64::from(shard.number),
        ],
        Feed::Shared(stream) => values![role.as_str(), stream.as_str(), "", -1i64],
    }
}

/// Generation, seq and event id.
pub(super) fn position(checkpoint: &Checkpoint) -> Vec<Value> {
    values![
        checkpoint.at.high.cast_signed(),
        checkpoint.at.low.cast_signed(),
        checkpoint.event_id.as_ref().map(EventId::as_str),
    ]
}
