//! Applications in a temporary folder, and what the tests ask of them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use millstream::core::acknowledgment::{Acknowledgment, Message, Receipt};
use millstream::core::descriptor::Descriptor;
use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::lease::Checkpoint;
use millstream::core::log::Appended;
use millstream::core::name::{
    AppName, DatabaseId, EntityId, EventId, EventType, StreamName, TenantId,
};
use millstream::core::outbox::OutboxRow;
use millstream::core::wire;
use millstream::engine::consumer::{self, Consumer};
use millstream::engine::relay::{self, Relay};
use millstream::engine::status::{Handle, Status};
use millstream::rusqlite::Connection;
use millstream::{App, CancellationToken, Config, Json, NewEvent, Transport};

/// No wait of any test is longer. Reached only by a defect.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const EMPLOYEES: &str = "CREATE TABLE employees (
    tenant_id TEXT, user_id TEXT, name TEXT, salary INTEGER, PRIMARY KEY (tenant_id, user_id))";

/// CRM publishes, HR keeps a table; log and databases lie in one folder.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) transport: Transport,
    pub(crate) crm: App,
    pub(crate) hr: App,
}

impl Site {
    /// One shard, and the usual lease.
    pub(crate) async fn new() -> Result<Self> {
        Self::with(1, "10s").await
    }

    pub(crate) async fn with(shards: u16, lease: &str) -> Result<Self> {
        Self::over("sqlite:log/events.db", shards, lease).await
    }

    /// With a transport that lies elsewhere.
    pub(crate) async fn over(url: &str, shards: u16, lease: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = configure(folder.path(), url, shards, lease)?;
        Connection::open(folder.path().join("hr.db"))?.execute_batch(EMPLOYEES)?;
        Self::of(folder, &site).await
    }

    /// With HR's database on a server, which has its table. What is asked of HR's file is asked there.
    #[cfg(feature = "postgres")]
    pub(crate) async fn with_hr_at(url: &str, shards: u16) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), "sqlite:log/events.db", shards, "2s")?;
        let path = folder.path().join("millstream.toml");
        let text = std::fs::read_to_string(&path)?.replace("sqlite:hr.db", url);
        std::fs::write(&path, text)?;
        Self::of(folder, &Config::load(&path)?).await
    }

    async fn of(folder: TempDir, site: &Config) -> Result<Self> {
        let [crm, hr] = ["crm", "hr"].map(|name| app(site, name));
        for app in [&crm, &hr] {
            app.migrate().await?;
        }
        let transport = millstream::connect_to(&site.transport).await?;
        Ok(Self {
            folder,
            transport,
            crm,
            hr,
        })
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The same applications as a file with another number of shards describes them.
    pub(crate) fn configured(&self, shards: u16) -> Result<Config> {
        configure(self.folder.path(), "sqlite:log/events.db", shards, "10s")
    }

    /// Makes a second database for HR, as if the first had been lost.
    pub(crate) async fn hr_anew(&self, file: &str) -> Result<App> {
        let text = std::fs::read_to_string(self.path("millstream.toml"))?;
        let path = self.path("anew.toml");
        std::fs::write(&path, text.replace("hr.db", file))?;
        let hr = app(&Config::load(&path)?, "hr");
        hr.migrate().await?;
        Connection::open(self.path(file))?.execute_batch(EMPLOYEES)?;
        Ok(hr)
    }

    /// Has CRM keep events for this long, and this many that all have settled.
    pub(crate) fn keep(&mut self, retention: Duration, margin: u64) {
        self.crm = self.crm.clone().keep(retention, margin);
    }

    /// Copies a database as a backup does.
    pub(crate) fn back_up(&self, file: &str) -> Result<PathBuf> {
        let copy = self.path(&format!("{file}.backup"));
        let db = Connection::open(self.path(file))?;
        db.busy_timeout(DEADLINE)?;
        db.execute("VACUUM INTO ?1", [copy.display().to_string()])?;
        Ok(copy)
    }

    /// Puts a backup in the place of a database that nobody uses now.
    pub(crate) fn restore(&self, backup: &Path, file: &str) -> Result<()> {
        for suffix in ["-wal", "-shm"] {
            std::fs::remove_file(self.path(&format!("{file}{suffix}"))).ok();
        }
        Ok(std::fs::rename(backup, self.path(file))?)
    }

    /// Waits until CRM's relay has looked after its stream that many times more.
    pub(crate) async fn checked(&self, times: u64) -> Result<()> {
        let log = &self.transport.log;
        let count = async || -> Result<Option<u64>> {
            let publishers = log.publishers(Some(&stream())).await?;
            Ok(publishers.first().map(|publisher| publisher.count))
        };
        let before = count().await?.context("nobody publishes")?;
        eventually(true, async || {
            Ok(count().await?.is_some_and(|count| count >= before + times))
        })
        .await
    }

    /// Claims in a follower's name to have settled CRM's only shard.
    pub(crate) async fn say_settled(
        &self,
        follower: &str,
        database: &DatabaseId,
        seq: u64,
    ) -> Result<()> {
        let receipt = Acknowledgment {
            application: AppName::new(follower)?,
            database: database.clone(),
            stream: stream(),
            message: Message::Receipt(Receipt {
                settled: Checkpoint {
                    at: at(seq),
                    event_id: None,
                },
                ..Receipt::default()
            }),
        };
        let log = &self.transport.log;
        Ok(log.acknowledge(self.crm.name(), &receipt.encode()).await?)
    }

    pub(crate) fn stream(&self) -> StreamName {
        stream()
    }

    /// Publishes through CRM's outbox.
    pub(crate) async fn publish(&self, events: &[NewEvent]) -> Result<()> {
        self.crm.database().insert(&stream(), events).await?;
        Ok(())
    }

    /// HR's table, as `tenant/id=name,salary` in the order of its keys.
    pub(crate) fn employees(&self) -> Result<Vec<String>> {
        rows(
            &self.path("hr.db"),
            "SELECT tenant_id || '/' || user_id || '=' ||
            coalesce(name, '-') || ',' || coalesce(salary, '-') FROM employees ORDER BY 1",
        )
    }

    /// What HR noted about the events that arrived, as `id outcome`, in the order of the stream.
    pub(crate) fn inbox(&self) -> Result<Vec<String>> {
        rows(
            &self.path("hr.db"),
            "SELECT coalesce(event_id, '-') || ' ' || outcome
            FROM millstream_inbox ORDER BY shard, generation, seq",
        )
    }

    /// Tells HR about CRM's stream in the place of a relay.
    pub(crate) async fn announce(&self) -> Result<()> {
        let hr = self.hr.database().identity().await?.database;
        let made_up = DatabaseId::new("made-by-the-test")?;
        let descriptor = Descriptor::new(stream(), AppName::new("crm")?, made_up, 1)
            .with_subscriber(self.hr.name(), &hr);
        Ok(self.transport.log.announce(&descriptor).await?)
    }

    /// Appends to CRM's only shard in the place of a relay.
    pub(crate) async fn append(&self, last: u64, entries: &[Entry]) -> Result<()> {
        let last = if last == 0 {
            EntryId::ZERO
        } else {
            EntryId::new(1, last)
        };
        let appended = self.transport.log.append(&shard(0), last, entries).await?;
        anyhow::ensure!(appended == Appended::Added, "{appended:?}");
        Ok(())
    }

    /// Waits until CRM's database knows that a follower has settled its only shard up to here.
    pub(crate) async fn settled(&self, follower: &str, seq: u64) -> Result<()> {
        let sql = format!(
            "SELECT settled_seq FROM millstream_subscribers WHERE subscriber = '{follower}'"
        );
        let crm = self.path("crm.db");
        eventually(vec![seq], async || numbers(&crm, &sql)).await
    }

    /// The ids of the events in CRM's only shard.
    pub(crate) async fn sent(&self) -> Result<Vec<String>> {
        let limit = millstream::core::log::ReadLimit {
            count: 100_000,
            bytes: usize::MAX,
        };
        let entries = self
            .transport
            .log
            .read(&shard(0), EntryId::ZERO, limit, Duration::ZERO)
            .await?;
        let id = |entry: &Entry| {
            let id = entry
                .fields
                .get(wire::field::EVENT_ID)
                .context("an entry without id")?;
            Ok(String::from_utf8_lossy(id).into_owned())
        };
        entries.iter().map(id).collect()
    }
}

fn configure(folder: &Path, url: &str, shards: u16, lease: &str) -> Result<Config> {
    let path = folder.join("millstream.toml");
    let text = include_str!("site.toml")
        .replace("URL", url)
        .replace("SHARDS", &shards.to_string())
        .replace("LEASE", lease);
    std::fs::write(&path, text)?;
    Ok(Config::load(&path)?)
}

pub(crate) fn app(config: &Config, name: &str) -> App {
    config.apps[&AppName::new(name).unwrap()].clone()
}

fn stream() -> StreamName {
    StreamName::new("events").unwrap()
}

pub(crate) fn shard(number: u16) -> Shard {
    Shard {
        stream: stream(),
        owner: AppName::new("crm").unwrap(),
        number,
    }
}

/// The first column of every row.
pub(crate) fn rows(file: &Path, sql: &str) -> Result<Vec<String>> {
    let db = Connection::open(file)?;
    db.busy_timeout(DEADLINE)?;
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The first column of every row, where it is a number.
pub(crate) fn numbers(file: &Path, sql: &str) -> Result<Vec<u64>> {
    let db = Connection::open(file)?;
    db.busy_timeout(DEADLINE)?;
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `user.updated` of an entity, which has the name `name` then.
pub(crate) fn event(id: &str, entity: &str, name: &str) -> NewEvent {
    raw_event(
        id,
        entity,
        &millstream::serde_json::json!({ "name": name }).to_string(),
    )
}

pub(crate) fn raw_event(id: &str, entity: &str, data: &str) -> NewEvent {
    let mut event = NewEvent::new(
        EventType::new("user.updated").unwrap(),
        TenantId::new("acme").unwrap(),
        EntityId::new(entity).unwrap(),
        Json::parse(data.to_owned()).unwrap(),
    );
    event.id = Some(EventId::new(id).unwrap());
    event
}

/// The entry `1-seq` as CRM's relay would write it: event `e{seq}` of entity `seq`, named like its id.
pub(crate) fn entry(seq: u64) -> Entry {
    wire::encode_owned(&row(seq), &AppName::new("crm").unwrap())
}

pub(crate) fn row(seq: u64) -> OutboxRow {
    OutboxRow {
        shard: 0,
        at: EntryId::new(1, seq),
        prev: (seq > 1).then(|| format!("e{}", seq - 1).into()),
        event_id: format!("e{seq}").into(),
        event_type: "user.updated".into(),
        version: "1.0".into(),
        target: "*".into(),
        tenant: "acme".into(),
        entity: seq.to_string().into(),
        partition_key: seq.to_string().into(),
        entity_version: 1,
        timestamp: "2026-01-01T00:00:00Z".into(),
        published_by: "system".into(),
        data: format!(r#"{{"name":"e{seq}"}}"#).into(),
        metadata: "{}".into(),
    }
}

/// A service that runs, and how to stop it.
pub(crate) struct Running<E> {
    pub(crate) handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<Result<(), E>>,
}

pub(crate) fn consume(app: &App, transport: &Transport) -> Running<consumer::Error> {
    Running::of_consumer(app.consumer(transport).unwrap())
}

pub(crate) fn relay(app: &App, transport: &Transport) -> Running<relay::Error> {
    Running::of_relay(app.relay(transport))
}

impl Running<consumer::Error> {
    pub(crate) fn of_consumer(consumer: Consumer) -> Self {
        let stop = CancellationToken::new();
        Self {
            handle: consumer.handle(),
            task: tokio::spawn(consumer.run(stop.clone())),
            stop,
        }
    }
}

impl Running<relay::Error> {
    pub(crate) fn of_relay(relay: Relay) -> Self {
        let stop = CancellationToken::new();
        Self {
            handle: relay.handle(),
            task: tokio::spawn(relay.run(stop.clone())),
            stop,
        }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Running<E> {
    /// Waits for a status, or says what it was instead.
    pub(crate) async fn until(&self, condition: impl Fn(&Status) -> bool) -> Result<()> {
        let waited = tokio::time::timeout(DEADLINE, self.handle.wait_until(condition)).await;
        waited.with_context(|| format!("still {:?}", self.handle.status()))
    }

    /// Stops gracefully.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        within(self.task).await???;
        Ok(())
    }

    /// Ends without a word, as a killed process does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        self.task.await.ok();
    }

    /// Waits until it ends by itself, with an error.
    pub(crate) async fn refusal(self) -> Result<E> {
        let ended = within(self.task).await??;
        ended.err().context("it ended without an error")
    }
}

pub(crate) async fn within<F: Future>(future: F) -> Result<F::Output> {
    tokio::time::timeout(DEADLINE, future)
        .await
        .context("not in time")
}

/// Looks again and again until it is so.
pub(crate) async fn eventually<T: PartialEq + std::fmt::Debug>(
    expected: T,
    look: impl AsyncFn() -> Result<T>,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let found = look().await?;
        if found == expected {
            return Ok(());
        }
        anyhow::ensure!(
            begun.elapsed() < DEADLINE,
            "{found:?} is still not {expected:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Entries as `1-7`.
pub(crate) fn at(seq: u64) -> EntryId {
    EntryId::new(1, seq)
}
