//! A publisher's database that knows less than its followers: failed over, or restored, while its relay runs.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use millstream_testkit::proxy::Proxy;
use millstream_testkit::server::{MariaDb, Postgres, PostgresPair, run};
use tokio::runtime::Runtime;

use crate::folder::{Folder, Service, eventually};
use crate::servers::site::on;

const RELAY: [&str; 3] = ["run", "--app", "crm"];

const CONFIGURATION: &str = r#"
[transport]
url = "sqlite:events.db"

[streams.inter-app-events]
shards = SHARDS

[apps.crm]
database = "CRM"
publishes = ["inter-app-events"]

[apps.hr]
database = "sqlite:hr.db"
subscribes = ["inter-app-events"]

[[apps.hr.map]]
on = ["user.updated"]
table = "employees"
key = { tenant_id = "tenantId", user_id = "entityId" }
set = { name = "data.name" }
"#;

/// CRM on a server at an address that stays, and HR on a file; relay and consumer are two processes.
struct Place {
    url: String,
    folder: Folder,
    runtime: Runtime,
}

impl Place {
    fn new(url: String, runtime: Runtime, shards: u16) -> Result<Self> {
        let folder = Folder::empty()?;
        let text = CONFIGURATION.replace("CRM", &url);
        let text = text.replace("SHARDS", &shards.to_string());
        std::fs::write(folder.path("millstream.toml"), text)?;
        folder.make_employees("hr.db")?;
        folder.run(&["migrate"]).done()?;
        Ok(Self {
            url,
            folder,
            runtime,
        })
    }

    /// Statements of CRM.
    fn crm(&self, sql: &str) -> Result<Vec<String>> {
        self.runtime.block_on(on(&self.url, sql))
    }

    /// Publishes `word1` and so on, each of the entity with its number.
    fn publish(&self, word: &str, numbers: std::ops::RangeInclusive<u64>) -> Result<()> {
        let rows: Vec<String> = numbers.map(|n| row(word, n, n)).collect();
        self.crm(&insert(&rows.join(", "))).map(drop)
    }

    /// Waits until CRM knows that HR has settled that many events.
    fn settled(&self, count: usize) -> Result<()> {
        let settled = "SELECT count(*) FROM event_tracking WHERE status = 'processed'";
        eventually(|| {
            let found = self.crm(settled)?;
            ensure!(found == [count.to_string()], "{found:?}");
            Ok(())
        })
    }

    /// What HR has noted, as `key id outcome`, in the order of the keys and of the stream.
    fn inbox(&self) -> Result<Vec<String>> {
        self.folder.rows(
            "hr.db",
            "SELECT entity_id || ' ' || event_id || ' ' || outcome FROM millstream_inbox
             ORDER BY entity_id, generation, seq",
        )
    }

    fn forked(&self, relay: &mut Service) -> Result<()> {
        relay.says("forked: nothing is sent to this shard")?;
        let log = relay.log()?;
        ensure!(log.contains("of this database"), "{log}");
        ensure!(log.contains("`millstream run --begin-generation`"), "{log}");
        let streams = self.folder.run(&["streams"]).done()?;
        ensure!(streams.contains("forked"), "{streams}");
        Ok(())
    }

    /// Does what the relay says, and waits until HR has everything that CRM has, each key in its order;
    /// `lost` is what HR knows besides, and `new` what was published to a shard that had stopped.
    fn begin_generation(
        &self,
        mut relay: Service,
        lost: &BTreeSet<String>,
        new: &BTreeSet<String>,
    ) -> Result<()> {
        relay.terminate()?;
        let mut relay = self
            .folder
            .start(&["run", "--app", "crm", "--begin-generation"])?;
        // Ids of one digit, whose order is everybody's.
        let known = "SELECT concat(entity_id, ' ', event_id, ' applied') FROM outbox
                     ORDER BY entity_id, id";
        let known = self.crm(known)?;
        eventually(|| {
            let mut inbox = self.inbox()?;
            inbox.retain(|row| !lost.contains(row));
            ensure!(inbox == known, "{inbox:?} is not {known:?}");
            Ok(())
        })?;
        relay.terminate()?;
        let before = "SELECT event_id FROM millstream_inbox WHERE generation = 1";
        let before = self.folder.rows("hr.db", before)?;
        ensure!(!before.iter().any(|id| new.contains(id)), "{before:?}");

        // The next start is an ordinary one.
        let mut relay = self.folder.start(&RELAY)?;
        self.publish("z", 1..=1)?;
        eventually(|| {
            let inbox = self.inbox()?;
            ensure!(inbox.contains(&"1 z1 applied".to_owned()), "{inbox:?}");
            let streams = self.folder.run(&["streams"]).done()?;
            ensure!(!streams.contains("forked"), "{streams}");
            Ok(())
        })?;
        relay.terminate().map(drop)
    }
}

fn row(word: &str, n: u64, entity: u64) -> String {
    format!("('{word}{n}', 'user.updated', 'acme', '{entity}', '{{\"name\": \"{word} {n}\"}}')")
}

fn insert(rows: &str) -> String {
    format!(
        "INSERT INTO outbox (event_id, event_type, tenant_id, entity_id, event_data) VALUES {rows}"
    )
}

fn pair() -> Result<(PostgresPair, Runtime)> {
    let runtime = Runtime::new()?;
    let pair = runtime.block_on(PostgresPair::start())?;
    Ok((pair, runtime))
}

/// The relay has nothing to send, and nothing is published until it has said what is wrong.
#[test]
fn an_idle_relay_stops_after_a_fail_over() -> Result<()> {
    let (mut pair, runtime) = pair()?;
    let place = Place::new(pair.url(), runtime, 4)?;
    let _consumer = place.folder.start(&["run", "--app", "hr"])?;
    let mut relay = place.folder.start(&RELAY)?;
    place.publish("a", 1..=4)?;
    place.settled(4)?;
    place.runtime.block_on(pair.hold_back())?;
    place.publish("b", 3..=8)?;
    place.settled(10)?;

    place.runtime.block_on(pair.switch())?;
    place.runtime.block_on(pair.promote())?;
    ensure!(place.crm("SELECT count(*) FROM outbox")? == ["4"]);
    place.forked(&mut relay)?;
    // Also to shards of which nothing was lost.
    place.publish("c", 1..=6)?;
    let lost = (3..=8).map(|n| format!("{n} b{n} applied")).collect();
    let new = (3..=6).map(|n| format!("c{n}")).collect();
    place.begin_generation(relay, &lost, &new)
}

/// The application publishes all the time; what fails, it leaves.
#[test]
fn a_busy_relay_stops_after_a_fail_over() -> Result<()> {
    let (mut pair, runtime) = pair()?;
    let place = Place::new(pair.url(), runtime, 1)?;
    let _consumer = place.folder.start(&["run", "--app", "hr"])?;
    let mut relay = place.folder.start(&RELAY)?;
    let stop = AtomicBool::new(false);
    let (lost, new) = thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let rows = (1..).take_while(|_| !stop.load(Ordering::Relaxed));
            for n in rows {
                // A server that is away takes nothing.
                place.crm(&insert(&row("e", n, n % 4))).ok();
            }
        });
        let watched = watch(&place, &mut pair, &mut relay);
        stop.store(true, Ordering::Relaxed);
        publishing.join().expect("it does not panic");
        watched
    })?;
    place.begin_generation(relay, &lost, &new)
}

/// Lets the pair fail over. What only HR has in the end, and what was published since.
fn watch(
    place: &Place,
    pair: &mut PostgresPair,
    relay: &mut Service,
) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    const IDS: &str = "SELECT event_id FROM outbox";
    eventually(|| {
        ensure!(place.inbox()?.len() >= 20, "too few");
        Ok(())
    })?;
    place.runtime.block_on(pair.hold_back())?;
    let standby = || place.runtime.block_on(pair.standby()?.rows(IDS));
    let lost = |kept: &[String]| -> Result<BTreeSet<String>> {
        let is_kept = |row: &String| {
            let id = row.split(' ').nth(1);
            kept.iter().any(|kept| id == Some(kept))
        };
        let inbox = place.inbox()?.into_iter();
        Ok(inbox.filter(|row| !is_kept(row)).collect())
    };
    eventually(|| {
        ensure!(lost(&standby()?)?.len() >= 20, "too few");
        Ok(())
    })?;
    place.runtime.block_on(pair.switch())?;
    let kept = standby()?;
    place.runtime.block_on(pair.promote())?;
    place.forked(relay)?;
    let lost = lost(&kept)?;
    let mut new = Vec::new();
    eventually(|| {
        new = place.crm(IDS)?;
        new.retain(|id| !kept.contains(id));
        ensure!(new.len() >= 8, "too few");
        Ok(())
    })?;
    Ok((lost, new.into_iter().collect()))
}

/// A database that was restored takes the place of the one that it is a copy of, which goes on with
/// other events than followers have settled under their numbers.
#[test]
fn a_relay_stops_after_its_database_was_restored() -> Result<()> {
    let runtime = Runtime::new()?;
    let server = runtime.block_on(Postgres::start_default())?;
    let admin = |sql: &str| runtime.block_on(on(&server.url(), sql));
    let url = |name: &str| format!("postgres://postgres@{}/{name}", server.address());
    admin("CREATE DATABASE shop")?;
    let place = Place::new(url("shop"), Runtime::new()?, 1)?;
    let _consumer = place.folder.start(&["run", "--app", "hr"])?;
    let mut relay = place.folder.start(&RELAY)?;
    place.publish("a", 1..=3)?;
    place.settled(3)?;
    let mut dump = Postgres::program("pg_dump")?;
    dump.arg("--dbname").arg(url("shop"));
    let backup = run(dump, b"")?;
    place.publish("b", 3..=5)?;
    place.settled(6)?;

    admin("CREATE DATABASE restored")?;
    let mut restore = Postgres::program("psql")?;
    let arguments = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"];
    restore.args(arguments).arg("--dbname").arg(url("restored"));
    run(restore, &backup)?;
    let rows: Vec<_> = (2..=6).map(|n| row("c", n, n)).collect();
    runtime.block_on(on(&url("restored"), &insert(&rows.join(", "))))?;
    for step in [
        "ALTER DATABASE shop WITH ALLOW_CONNECTIONS false",
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'shop'",
        "ALTER DATABASE shop RENAME TO old",
        "ALTER DATABASE restored RENAME TO shop",
    ] {
        admin(step).context(step)?;
    }
    place.forked(&mut relay)?;
    let lost = (3..=5).map(|n| format!("{n} b{n} applied")).collect();
    let new = (2..=6).map(|n| format!("c{n}")).collect();
    place.begin_generation(relay, &lost, &new)
}

/// A MariaDB with CRM's database.
fn mariadb(runtime: &Runtime) -> Result<MariaDb> {
    let server = runtime.block_on(MariaDb::start_default())?;
    runtime.block_on(on(&server.url(""), "CREATE DATABASE shop"))?;
    Ok(server)
}

fn dump(server: &MariaDb) -> Result<Vec<u8>> {
    let mut dump = server.program("mariadb-dump", "shop");
    dump.args(["--single-transaction", "--triggers"]);
    run(dump, b"")
}

fn restore(server: &MariaDb, dump: &[u8]) -> Result<()> {
    run(server.program("mariadb", "shop"), dump).map(drop)
}

/// A MariaDB with the dump takes the place of the one that the dump is of, at the same address, and has
/// gone on with other events than followers have settled under their numbers.
#[test]
fn a_relay_stops_after_a_restored_mariadb_took_the_place_of_its_own() -> Result<()> {
    let runtime = Runtime::new()?;
    let (first, second) = (mariadb(&runtime)?, mariadb(&runtime)?);
    let door = runtime.block_on(async { Proxy::start(first.address()) })?;
    let url = first.url("shop");
    let url = url.replace(&first.address().to_string(), &door.address().to_string());
    let place = Place::new(url, Runtime::new()?, 1)?;
    let _consumer = place.folder.start(&["run", "--app", "hr"])?;
    let mut relay = place.folder.start(&RELAY)?;
    place.publish("a", 1..=3)?;
    place.settled(3)?;
    let backup = dump(&first)?;
    place.publish("b", 3..=5)?;
    place.settled(6)?;

    restore(&second, &backup)?;
    let rows: Vec<_> = (2..=6).map(|n| row("c", n, n)).collect();
    runtime.block_on(on(&second.url("shop"), &insert(&rows.join(", "))))?;
    door.set_target(second.address());
    runtime.block_on(door.cut());
    place.forked(&mut relay)?;
    let lost = (3..=5).map(|n| format!("{n} b{n} applied")).collect();
    let new = (2..=6).map(|n| format!("c{n}")).collect();
    place.begin_generation(relay, &lost, &new)
}

/// Table after table, while the relay looks.
#[test]
fn a_relay_stops_after_its_mariadb_was_restored_in_place() -> Result<()> {
    let runtime = Runtime::new()?;
    let server = mariadb(&runtime)?;
    let place = Place::new(server.url("shop"), Runtime::new()?, 4)?;
    let _consumer = place.folder.start(&["run", "--app", "hr"])?;
    let mut relay = place.folder.start(&RELAY)?;
    place.publish("a", 1..=4)?;
    place.settled(4)?;
    let backup = dump(&server)?;
    place.publish("b", 3..=8)?;
    place.settled(10)?;

    restore(&server, &backup)?;
    ensure!(place.crm("SELECT count(*) FROM outbox")? == ["4"]);
    place.forked(&mut relay)?;
    // Also to shards of which nothing was lost.
    place.publish("c", 1..=6)?;
    let lost = (3..=8).map(|n| format!("{n} b{n} applied")).collect();
    let new = (3..=6).map(|n| format!("c{n}")).collect();
    place.begin_generation(relay, &lost, &new)
}
