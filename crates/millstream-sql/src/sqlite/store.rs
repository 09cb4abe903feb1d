use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::OptionalExtension;

use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::{Counts, Outcome};
use millstream_core::entry::Shard;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Lease};
use millstream_core::name::{AppName, EventId};
use millstream_core::store::{
    Applied, Batch, DeadLetter, DeadLetterQuery, Old, Pruned, Store, Table,
};

use crate::sqlite::database::{Database, while_doing};
use crate::sqlite::{apply, dead_letters, inbox, parked, tables};

#[async_trait]
impl Store for Database {
    async fn tables(&self, names: &[Arc<str>]) -> Result<Vec<Option<Table>>, Error> {
        let names = names.to_vec();
        self.read(move |db, options| {
            names
                .iter()
                .map(|name| tables::describe(db, &options.prefix, name))
                .collect()
        })
        .await
    }

    fn handled(&self) -> Vec<String> {
        self.options.handlers.types()
    }

    async fn apply(&self, lease: &Lease, batch: &Batch) -> Result<Applied, Error> {
        let lease = lease.clone();
        let batch = batch.clone();
        self.write(move |db, options| apply::apply(db, options, &lease, &batch))
            .await
    }

    async fn waiting(
        &self,
        feed: &Feed,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let feed = feed.clone();
        self.read(move |db, options| parked::waiting(db, &options.prefix, &feed, after, limit))
            .await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, Error> {
        let query = query.clone();
        self.read(move |db, options| dead_letters::list(db, &options.prefix, &query))
            .await
    }

    async fn exceptions(
        &self,
        shard: &Shard,
        limit: usize,
    ) -> Result<(Vec<Exception>, u64), Error> {
        let shard = shard.clone();
        self.read(move |db, options| dead_letters::of_shard(db, &options.prefix, &shard, limit))
            .await
    }

    async fn prune_inbox(&self, feed: &Feed, old: &Old, limit: usize) -> Result<Pruned, Error> {
        let (feed, old) = (feed.clone(), *old);
        self.write(move |db, options| inbox::prune(db, &options.prefix, &feed, &old, limit))
            .await
    }

    async fn outcome(&self, source: &AppName, event: &EventId) -> Result<Option<Outcome>, Error> {
        let (source, event) = (source.clone(), event.clone());
        self.read(move |db, options| {
            let word: Option<String> = db
                .prepare_cached(&options.prefix.sql(
                    "SELECT i.outcome FROM ~millstream_inbox i
                     JOIN ~millstream_shards s ON s.id = i.shard
                     WHERE i.event_id = ?1 AND coalesce(i.source_application, s.source) = ?2",
                ))
                .and_then(|mut query| {
                    query
                        .query_row([event.as_str(), source.as_str()], |row| row.get(0))
                        .optional()
                })
                .map_err(while_doing("look up an event"))?;
            Ok(word.and_then(|word| Outcome::parse(&word)))
        })
        .await
    }

    async fn counts(&self) -> Result<Counts, Error> {
        self.read(|db, options| {
            let failed = while_doing("count the inbox");
            let sql = "SELECT outcome, count(*) FROM ~millstream_inbox GROUP BY outcome";
            let mut query = db
                .prepare_cached(&options.prefix.sql(sql))
                .map_err(&failed)?;
            let mut rows = query.query([]).map_err(&failed)?;
            let mut counts = Counts::default();
            while let Some(row) = rows.next().map_err(&failed)? {
                let word: String = row.get(0).map_err(&failed)?;
                let count: i64 = row.get(1).map_err(&failed)?;
                if let Some(outcome) = Outcome::parse(&word) {
                    counts.add_many(outcome, count.unsigned_abs());
                }
            }
            Ok(counts)
        })
        .await
    }
}
