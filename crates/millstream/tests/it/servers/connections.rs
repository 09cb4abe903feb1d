//! How many connections there are at the most.

use anyhow::Result;
use millstream::mysql::mysql_async::prelude::Queryable as _;
use millstream::mysql::mysql_async::{Conn, Opts};
use millstream::postgres::tokio_postgres::{self, NoTls};

use super::place::{Place, Server};
use crate::site::{eventually, within};

/// Whatever is asked at once: who finds no connection free waits for one.
#[tokio::test]
async fn there_are_no_more_connections_than_are_configured() -> Result<()> {
    for Place { server, hr, .. } in Box::pin(Place::each("connections = 3")).await? {
        let held = Held::of(&server).await?;
        let database = hr.database();
        let asked: Vec<_> = (0..8)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { database.counts().await })
            })
            .collect();
        eventually(3, async || waiting(&server).await).await?;
        held.release().await?;
        for task in asked {
            within(task).await???;
        }
        assert!(sessions(&server).await? <= 3);
    }
    Ok(())
}

/// How many sessions of HR wait for a lock.
async fn waiting(server: &Server) -> Result<usize> {
    let sql = match server {
        Server::Postgres(_) => {
            "SELECT pid FROM pg_stat_activity WHERE usename = 'hr' AND wait_event_type = 'Lock'"
        }
        Server::MariaDb(_) => {
            "SELECT concat(id) FROM information_schema.processlist
             WHERE user = 'hr' AND state LIKE 'Waiting for table%lock'"
        }
    };
    Ok(server.rows(sql).await?.len())
}

async fn sessions(server: &Server) -> Result<usize> {
    let sql = match server {
        Server::Postgres(_) => "SELECT pid FROM pg_stat_activity WHERE usename = 'hr'",
        Server::MariaDb(_) => {
            "SELECT concat(id) FROM information_schema.processlist WHERE user = 'hr'"
        }
    };
    Ok(server.rows(sql).await?.len())
}

/// A session that lets nobody read HR's inbox.
enum Held {
    Postgres(tokio_postgres::Client),
    MariaDb(Conn),
}

impl Held {
    async fn of(server: &Server) -> Result<Self> {
        Ok(match server {
            Server::Postgres(_) => {
                let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
                tokio::spawn(async move { drop(connection.await) });
                let lock = "BEGIN; LOCK TABLE millstream_inbox";
                client.batch_execute(lock).await?;
                Self::Postgres(client)
            }
            Server::MariaDb(_) => {
                let mut conn = Conn::new(Opts::from_url(&server.url())?).await?;
                conn.query_drop("LOCK TABLES millstream_inbox WRITE")
                    .await?;
                Self::MariaDb(conn)
            }
        })
    }

    async fn release(self) -> Result<()> {
        match self {
            Self::Postgres(client) => client.batch_execute("COMMIT").await?,
            Self::MariaDb(conn) => conn.disconnect().await?,
        }
        Ok(())
    }
}
