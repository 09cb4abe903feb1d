//! HR keeps its table on a PostgreSQL that has a standby.

use anyhow::Result;
use millstream_testkit::server::PostgresPair;

use crate::site::{EMPLOYEES, Site};

pub(super) struct Place {
    pub(super) site: Site,
    pub(super) pair: PostgresPair,
}

impl Place {
    pub(super) async fn new(shards: u16) -> Result<Self> {
        let pair = PostgresPair::start().await?;
        pair.rows(EMPLOYEES).await?;
        let site = Site::with_hr_at(&pair.url(), shards).await?;
        Ok(Self { site, pair })
    }

    /// HR's table, as `id=name`.
    pub(super) async fn employees(&self) -> Result<Vec<String>> {
        let sql = "SELECT user_id || '=' || name FROM employees ORDER BY user_id";
        self.pair.rows(sql).await
    }

    /// What HR noted about the events that arrived, as `id outcome`, in the order of the stream.
    pub(super) async fn inbox(&self) -> Result<Vec<String>> {
        let sql = "SELECT event_id || ' ' || outcome FROM millstream_inbox
                   ORDER BY shard, generation, seq";
        self.pair.rows(sql).await
    }

    /// How many events the standby knows of.
    pub(super) async fn on_standby(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM millstream_inbox";
        let count = self.pair.standby()?.rows(sql).await?;
        Ok(count.concat().parse()?)
    }

    pub(super) async fn fail_over(&self) -> Result<()> {
        self.pair.switch().await?;
        self.pair.promote().await
    }
}

pub(super) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
