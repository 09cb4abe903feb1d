use std::sync::Arc;

use async_trait::async_trait;

use millstream_core::acknowledgment::Exception;
use millstream_core::delivery::{Counts, Outcome};
use millstream_core::entry::Shard;
use millstream_core::error::Error;
use millstream_core::lease::{Feed, Lease};
use millstream_core::name::{AppName, EventId};
use millstream_core::store::{
    Applied, Batch, DeadLetter, DeadLetterQuery, Old, Pruned, Store, Table,
};

use crate::postgres::database::{Database, while_doing};
use crate::postgres::leases::number;
use crate::postgres::{apply, dead_letters, inbox, parked, tables};

#[async_trait]
impl Store for Database {
    async fn tables(&self, names: &[Arc<str>]) -> Result<Vec<Option<Table>>, Error> {
        let db = self.connection("describe a table").await?;
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            tables.push(tables::describe(&**db, &self.options.prefix, name).await?);
        }
        Ok(tables)
    }

    fn handled(&self) -> Vec<String> {
        self.options.handlers.types()
    }

    async fn apply(&self, lease: &Lease, batch: &Batch) -> Result<Applied, Error> {
        apply::apply(self, lease, batch).await
    }

    async fn waiting(
        &self,
        feed: &Feed,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let db = self.connection("read what is to be tried again").await?;
        parked::waiting(&**db, &self.options.prefix, feed, after, limit).await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, Error> {
        let db = self.connection("read dead letters").await?;
        dead_letters::list(&**db, &self.options.prefix, query).await
    }

    async fn exceptions(
        &self,
        shard: &Shard,
        limit: usize,
    ) -> Result<(Vec<Exception>, u64), Error> {
        let db = self.connection("read what is parked of a shard").await?;
        dead_letters::of_shard(&**db, &self.options.prefix, shard, limit).await
    }

    async fn prune_inbox(&self, feed: &Feed, old: &Old, limit: usize) -> Result<Pruned, Error> {
        inbox::prune(self, feed, old, limit).await
    }

    async fn outcome(&self, source: &AppName, event: &EventId) -> Result<Option<Outcome>, Error> {
        const DOING: &str = "look up an event";
        let db = self.connection(DOING).await?;
        let row = db
            .query_opt(
                &self.sql(
                    "SELECT i.outcome FROM ~millstream_inbox i
                     JOIN ~millstream_shards s ON s.id = i.shard
                     WHERE i.event_id = $1 AND coalesce(i.source_application, s.source) = $2
                     LIMIT 1",
                ),
                &[&event.as_str(), &source.as_str()],
            )
            .await
            .map_err(while_doing(DOING))?;
        Ok(row.and_then(|row| Outcome::parse(row.get(0))))
    }

    async fn counts(&self) -> Result<Counts, Error> {
        const DOING: &str = "count the inbox";
        let db = self.connection(DOING).await?;
        let sql = "SELECT outcome, count(*) FROM ~millstream_inbox GROUP BY outcome";
        let rows = db
            .query(&self.sql(sql), &[])
            .await
            .map_err(while_doing(DOING))?;
        let mut counts = Counts::default();
        for row in rows {
            if let Some(outcome) = Outcome::parse(row.get(0)) {
                counts.add_many(outcome, number(&row, 1));
            }
        }
        Ok(counts)
    }
}
