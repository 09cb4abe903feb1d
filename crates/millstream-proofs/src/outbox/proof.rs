use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use millstream::{App, Database};
use millstream_core::clock::Timestamp;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::{Checkpoint, Feed, Lease, Role};
use millstream_core::name::{AppName, EventId, InstanceId, StreamName};
use tokio::task::JoinSet;

use crate::databases::runtime;
use crate::outbox::check::order;
use crate::outbox::server::{Kind, Server};
use crate::outbox::writer::{Tally, write};
use crate::terminal::say;

const SHARDS: u16 = 4;

/// Rows that are numbered at a time.
const LIMIT: usize = 1_000;

/// How long nothing may get a number, while something waits for one.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Outbox {
    /// Which database
    #[arg(long, value_enum)]
    database: Kind,
    /// Rows that are committed
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// Connections that write at the same time
    #[arg(long, default_value_t = 16)]
    writers: usize,
    /// Seconds for which one transaction is held open, at least
    #[arg(long, default_value_t = 5)]
    hold: u64,
    /// Seed of what is written; a random one by default
    #[arg(long)]
    seed: Option<u64>,
}

/// Writes, numbers at the same time, and checks. Returns the line that says so.
pub(crate) fn outbox(args: Outbox) -> anyhow::Result<String> {
    let seed = args
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(()) >> 40);
    say(format!("outbox: seed {seed}"));
    runtime()?.block_on(run(&args, seed))
}

async fn run(args: &Outbox, seed: u64) -> anyhow::Result<String> {
    let server = Server::start(args.database).await?;
    let app = App::new("crm", &server.url())?.publish_to_shards("events", SHARDS)?;
    app.migrate().await?;
    let mut relay = Relay::start(app.database()).await?;
    let tally = Arc::new(Tally::default());
    let started = Instant::now();

    let mut holder = server.session(0).await?;
    let held = "BEGIN; INSERT INTO outbox (event_type, tenant_id, entity_id, event_data)
                VALUES ('x', 'acme', 'held', '{\"w\":999,\"n\":1}'), ('x', 'acme', 'held-2', '{\"w\":999,\"n\":2}')";
    ensure!(holder.run(held).await?, "nobody else holds anything");

    let mut writers = JoinSet::new();
    for number in 0..args.writers {
        let mut session = server.session(number).await?;
        let (tally, rows) = (tally.clone(), args.rows);
        writers.spawn(async move { write(&mut session, number, seed, rows, &tally).await });
    }
    while !writers.is_empty() {
        relay.number().await?;
        while let Some(ended) = writers.try_join_next() {
            ended??;
        }
        if relay.numbered / 100_000 > relay.told {
            relay.told = relay.numbered / 100_000;
            say(format!("{} rows numbered", relay.numbered));
        }
    }
    // All that was committed, while the first transaction of all is still open.
    let committed = tally.committed.load(Ordering::Relaxed);
    relay
        .reach(committed)
        .await
        .context("it waits for the open transaction")?;
    let hold = Duration::from_secs(args.hold);
    tokio::time::sleep(hold.saturating_sub(started.elapsed())).await;
    let open = started.elapsed();
    ensure!(holder.run("COMMIT").await?, "it commits");
    relay
        .reach(committed + 2)
        .await
        .context("it lacks what was held")?;
    let seconds = started.elapsed().as_secs_f64();

    say(format!("numbered after {seconds:.1} s, checking"));
    let found = order(&server.eyes()).await?;
    ensure!(found == committed + 2, "{found} rows of {}", committed + 2);
    Ok(format!(
        "outbox: ok: {found} rows of {} writers on {:?}, {} rolled back, {} transactions done again, one \
         open for {:.0} s; 0 lost, 0 out of order; {seconds:.1} s; seed {seed}",
        args.writers,
        args.database,
        tally.rolled_back.load(Ordering::Relaxed),
        tally.again.load(Ordering::Relaxed),
        open.as_secs_f64(),
    ))
}

/// What gives rows their numbers, without a log behind it.
struct Relay {
    database: Arc<dyn Database>,
    tops: Vec<Lease>,
    stream: StreamName,
    numbered: u64,
    told: u64,
}

impl Relay {
    async fn start(database: Arc<dyn Database>) -> anyhow::Result<Self> {
        let stream = StreamName::new("events")?;
        let owner = AppName::new("crm")?;
        let shard = |number| {
            Feed::Owned(Shard {
                stream: stream.clone(),
                owner: owner.clone(),
                number,
            })
        };
        let feeds: Vec<Feed> = (0..SHARDS).map(shard).collect();
        database.register(Role::Relay, &feeds).await?;
        let rows = database.leases(Role::Relay).await?;
        let instance = InstanceId::new("relay")?;
        let tops = database.acquire(&instance, Role::Relay, &rows).await?;
        Ok(Self {
            database,
            tops: tops.context("nobody was faster")?,
            stream,
            numbered: 0,
            told: 0,
        })
    }

    async fn number(&mut self) -> anyhow::Result<()> {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let rows = self.database.number(&self.tops, LIMIT, now).await?;
        for row in &rows {
            self.tops[usize::from(row.shard)].checkpoint = Checkpoint {
                at: EntryId::new(row.at.high, row.at.low),
                event_id: Some(EventId::new(String::from_utf8(row.event_id.to_vec())?)?),
            };
        }
        self.numbered += rows.len() as u64;
        if rows.is_empty() {
            self.database
                .wait(&self.stream, Duration::from_millis(50))
                .await;
        }
        Ok(())
    }

    /// Numbers until there are so many.
    async fn reach(&mut self, rows: u64) -> anyhow::Result<()> {
        let mut moved = (Instant::now(), self.numbered);
        while self.numbered < rows {
            self.number().await?;
            if self.numbered > moved.1 {
                moved = (Instant::now(), self.numbered);
            }
            ensure!(
                moved.0.elapsed() < WAIT_MAX,
                "{} of {rows} rows have a number",
                self.numbered
            );
        }
        ensure!(
            self.numbered == rows,
            "{} numbers for {rows} rows",
            self.numbered
        );
        Ok(())
    }
}
