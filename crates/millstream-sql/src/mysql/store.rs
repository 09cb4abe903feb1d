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

use crate::mysql::database::Database;
use crate::mysql::row::{number, text};
use crate::mysql::session::values;
use crate::mysql::{apply, dead_letters, inbox, parked, tables};

#[async_trait]
impl Store for Database {
    async fn tables(&self, names: &[Arc<str>]) -> Result<Vec<Option<Table>>, Error> {
        let mut session = self.session().await?;
        let mut described = Vec::with_capacity(names.len());
        for name in names {
            session.begin("describe a table").await?;
            let table = tables::describe(&mut session, &self.options.prefix, name).await?;
            session.plain("describe a table", "COMMIT").await?;
            described.push(table.map(|(table, fits)| {
                self.remember(name, fits);
                table
            }));
        }
        session.give_back();
        Ok(described)
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
        parked::waiting(self, feed, after, limit).await
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, Error> {
        dead_letters::list(self, query).await
    }

    async fn exceptions(
        &self,
        shard: &Shard,
        limit: usize,
    ) -> Result<(Vec<Exception>, u64), Error> {
        dead_letters::of_shard(self, shard, limit).await
    }

    async fn prune_inbox(&self, feed: &Feed, old: &Old, limit: usize) -> Result<Pruned, Error> {
        inbox::prune(self, feed, old, limit).await
    }

    async fn outcome(&self, source: &AppName, event: &EventId) -> Result<Option<Outcome>, Error> {
        let sql = self.sql(
            "SELECT i.outcome FROM ~millstream_inbox i
             JOIN ~millstream_shards s ON s.id = i.shard
             WHERE i.event_id = ? AND coalesce(i.source_application, s.source) = ?",
        );
        let mut session = self.session().await?;
        let parameters = values![event.as_str(), source.as_str()];
        let row = session.first("look up an event", &sql, parameters).await?;
        session.give_back();
        Ok(row
            .and_then(|row| text(&row, 0))
            .and_then(|word| Outcome::parse(&word)))
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let sql = self.sql("SELECT outcome, count(*) FROM ~millstream_inbox GROUP BY outcome");
        let mut session = self.session().await?;
        let rows = session.all("count the inbox", &sql, vec![]).await?;
        session.give_back();
        let mut counts = Counts::default();
        for row in &rows {
            if let Some(outcome) = text(row, 0).and_then(|word| Outcome::parse(&word)) {
                counts.add_many(outcome, number(row, 1));
            }
        }
        Ok(counts)
    }
}
