use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use super::postgres::Postgres;
use super::wait::Wait;
use crate::proxy::Proxy;

/// A PostgreSQL whose place a standby takes, at an address that stays the same: as behind a virtual
/// address or a balancer.
///
/// The standby follows through a proxy: only there can acknowledged commits get lost, since what it has
/// received it also replays.
#[derive(Debug)]
pub struct PostgresPair {
    door: Proxy,
    link: Proxy,
    standby: Option<Postgres>,
    primary: Postgres,
}

impl PostgresPair {
    /// Starts the primary.
    ///
    /// # Errors
    ///
    /// As [`PostgresBuilder::start`](super::PostgresBuilder::start).
    pub async fn start() -> Result<Self> {
        let primary = Postgres::start_default().await?;
        Ok(Self {
            door: Proxy::start(primary.address())?,
            link: Proxy::start(primary.address())?,
            standby: None,
            primary,
        })
    }

    /// Where clients find whichever server is in use.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        Postgres::url_at(self.address())
    }

    /// What statements answer there.
    ///
    /// # Errors
    ///
    /// As [`Postgres::rows`].
    pub async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        Postgres::rows_at(self.address(), sql).await
    }

    /// The server of the beginning, running or not.
    pub fn primary(&self) -> &Postgres {
        &self.primary
    }

    /// The other one.
    ///
    /// # Errors
    ///
    /// If there is none before [`Self::hold_back`].
    pub fn standby(&self) -> Result<&Postgres> {
        self.standby.as_ref().context("there is no standby yet")
    }

    /// Starts the standby, which has everything that is committed now, and nothing that is committed
    /// after this returns.
    ///
    /// # Errors
    ///
    /// If it does not start, or does not catch up.
    pub async fn hold_back(&mut self) -> Result<()> {
        let standby = self.primary.follow(self.link.address()).await?;
        let written = self.primary.rows("SELECT pg_current_wal_flush_lsn()");
        let written = written.await?.concat();
        let level = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        let wait = Wait::new("the standby does not catch up");
        while standby.rows(&level).await? != ["t"] {
            wait.again().await?;
        }
        self.link.go_away().await;
        self.standby = Some(standby);
        Ok(())
    }

    /// Kills the primary by SIGKILL, and leads clients to the standby, which only lets them read.
    ///
    /// # Errors
    ///
    /// If there is no standby, or the primary cannot be killed.
    pub async fn switch(&self) -> Result<()> {
        self.door.set_target(self.standby()?.address());
        self.primary.kill().await?;
        // Those that had come and were not let through yet.
        self.door.cut().await;
        Ok(())
    }

    /// Makes the standby the primary, and waits until it is.
    ///
    /// # Errors
    ///
    /// If it does not become one.
    pub async fn promote(&self) -> Result<()> {
        let promoted = self.standby()?.rows("SELECT pg_promote()").await?;
        ensure!(promoted == ["t"], "the standby is not promoted in time");
        Ok(())
    }
}
