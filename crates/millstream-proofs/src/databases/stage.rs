use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use crate::databases::eyes::{Eyes, Texts};
use crate::databases::site::{FOLLOWERS, Servers};
use crate::databases::victims::{PROCESSES, Victim, plan};
use crate::fleet::{Fleet, Kind, Member};
use crate::history::History;
use crate::model::Model;
use crate::site::Site;
use crate::terminal::say;

/// Events in a second: so few that everybody keeps up, or a long history takes a minute.
const PACE_MIN: f64 = 2_000.0;
const HISTORY_SECONDS: f64 = 45.0;

/// How often to look whether the moment of a kill has come, and whether everything is settled: each look
/// takes connections, which PostgreSQL forks for.
const MOMENT_INTERVAL: Duration = Duration::from_millis(20);
const SETTLED_INTERVAL: Duration = Duration::from_millis(100);

/// How often to look whether events are at stake: they are so for some milliseconds each.
const STAKE_INTERVAL: Duration = Duration::from_millis(1);

/// How long nothing may move before the run counts as stuck: servers start, leases run out.
const STUCK_MAX: Duration = Duration::from_secs(90);

/// How long the follower on a server may have everything before that counts as nothing at stake.
const STAKE_MAX: Duration = Duration::from_secs(10);

/// How far everybody is.
#[derive(Debug, PartialEq, Eq)]
struct Level {
    happened: u64,
    unsent: u64,
    /// Shard, generation, seq.
    tops: Vec<Texts>,
    receipts: Vec<Texts>,
    /// Of each follower.
    checkpoints: Vec<Vec<Texts>>,
}

impl Level {
    fn is_settled(&self, events: u64) -> bool {
        let receipts = |follower: &str| -> Vec<&[Option<String>]> {
            let own = |row: &&Texts| row[0].as_deref() == Some(follower);
            let own = self.receipts.iter().filter(own);
            own.map(|row| &row[1..]).collect()
        };
        self.happened == events
            && self.unsent == 0
            && FOLLOWERS.iter().all(|name| receipts(name) == self.tops)
            && self.checkpoints.iter().all(|own| *own == self.tops)
    }
}

/// Servers, processes, and eyes on what they do.
#[derive(Debug)]
pub(super) struct Stage {
    // Before the servers and their runtime: processes must not outlive them.
    pub(super) fleet: Fleet,
    servers: Servers,
    pub(super) crm: Eyes,
    pub(super) followers: Vec<(&'static str, Eyes)>,
    pub(super) capture: bool,
    events: u64,
    started: Instant,
    postgres: Kills,
    mariadb: Kills,
    runtime: Runtime,
}

/// What became of one server.
#[derive(Debug, Default)]
struct Kills {
    count: u64,
    /// Events of which the follower on it had nothing yet, all in all.
    at_stake: u64,
}

impl Stage {
    /// Starts CRM, two relays, and two consumers of each follower. Nothing happens before it is
    /// allowed to.
    pub(super) fn begin(
        runtime: Runtime,
        servers: Servers,
        site: &Site,
        history: &History,
        model: &Model,
        capture: bool,
    ) -> anyhow::Result<Self> {
        let mut application = vec!["application".into(), "--url".into(), servers.crm().into()];
        application.extend(history.arguments());
        application.extend(["--pace".into(), pace(model.count).to_string().into()]);
        application.extend(capture.then(|| "--knows-nothing".into()));
        let mut members = vec![
            Member::new("application", Kind::Source, site, application),
            Member::new("relay-1", Kind::Relay, site, vec!["relay".into()]),
            Member::new("relay-2", Kind::Relay, site, vec!["relay".into()]),
        ];
        for (names, follower) in NAMES.into_iter().zip(FOLLOWERS) {
            for name in names {
                let arguments = vec!["consumer".into(), follower.into()];
                members.push(Member::new(name, Kind::Follower, site, arguments));
            }
        }
        let eyes = |name| (name, servers.look_at(site, name));
        Ok(Self {
            crm: servers.look_at_crm(),
            followers: FOLLOWERS.map(eyes).into(),
            fleet: Fleet::of(members, PROCESSES, history, Some(0))?,
            servers,
            capture,
            events: model.count,
            started: Instant::now(),
            postgres: Kills::default(),
            mariadb: Kills::default(),
            runtime,
        })
    }

    /// Lets the history happen in one part more than there are kills, with a kill in each but the last.
    /// A part is allowed ahead, so that events go on happening whoever is killed.
    pub(super) fn kill(&mut self, kills: u64, seed: u64) -> anyhow::Result<()> {
        let mut random = StdRng::seed_from_u64(seed);
        let parts = kills + 1;
        let plan = plan(usize::try_from(kills)?, &mut random);
        for (kill, victim) in (1..).zip(plan) {
            let (from, to) = (self.events * (kill - 1) / parts, self.events * kill / parts);
            self.fleet.allow(self.events * (kill + 1) / parts)?;
            let at = random.random_range(from..=to);
            let otherwise = "the history does not happen";
            self.until(otherwise, MOMENT_INTERVAL, Self::happened, |&happened| {
                happened >= at
            })?;
            let what = self
                .kill_one(victim, &mut random)
                .with_context(|| format!("kill {kill} of {kills}"))?;
            say(format!("kill {kill} of {kills}: {what}"));
        }
        self.fleet.allow(u64::MAX)
    }

    fn kill_one(&mut self, victim: Victim, random: &mut StdRng) -> anyhow::Result<String> {
        // Long enough for everybody to notice.
        let away = Duration::from_millis(random.random_range(0..500));
        match victim {
            Victim::Process(place) => {
                self.fleet.kill_this(place)?;
                self.fleet.restart(place)?;
                Ok("a process".into())
            }
            Victim::AnyProcess => {
                let place = self.fleet.kill(random)?;
                self.fleet.restart(place)?;
                Ok("a process".into())
            }
            Victim::Postgres => {
                let lacking = self.at_stake("hr-postgres")?;
                self.postgres.count(lacking);
                let postgres = &self.servers.postgres;
                self.runtime.block_on(postgres.stop_immediately())?;
                thread::sleep(away);
                self.runtime.block_on(postgres.start())?;
                Ok(format!("PostgreSQL, at once, {lacking} events at stake"))
            }
            Victim::MariaDb => {
                let lacking = self.at_stake("hr-mariadb")?;
                self.mariadb.count(lacking);
                self.servers.mariadb.kill()?;
                thread::sleep(away);
                self.runtime.block_on(self.servers.mariadb.start())?;
                Ok(format!("MariaDB, by SIGKILL, {lacking} events at stake"))
            }
        }
    }

    /// Waits until a follower lacks events, and says how many: a server that dies while everything has
    /// arrived proves nothing.
    fn at_stake(&self, follower: &str) -> anyhow::Result<u64> {
        let (_, eyes) = self
            .followers
            .iter()
            .find(|(name, _)| *name == follower)
            .context("nobody of this name follows")?;
        let started = Instant::now();
        while started.elapsed() < STAKE_MAX {
            // A server that is just starting is looked at again.
            let lacking = self.runtime.block_on(async {
                // The follower last: what it has got meanwhile is not at stake.
                let committed = self.crm.number(COMMITTED).await?;
                let settled = eyes.number(SETTLED).await?;
                anyhow::Ok(committed.saturating_sub(settled))
            });
            match lacking {
                Ok(lacking @ 1..) => return Ok(lacking),
                _ => thread::sleep(STAKE_INTERVAL),
            }
        }
        bail!("nothing was at stake: {follower} lacks nothing")
    }

    /// Waits until everything is settled everywhere.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        let events = self.events;
        self.until("not settled", SETTLED_INTERVAL, Self::level, |level| {
            level.is_settled(events)
        })
    }

    /// Waits until something holds, as long as something moves.
    fn until<L: PartialEq + fmt::Debug>(
        &mut self,
        otherwise: &str,
        interval: Duration,
        look: impl AsyncFn(&Self) -> anyhow::Result<L>,
        holds: impl Fn(&L) -> bool,
    ) -> anyhow::Result<()> {
        let mut known = None;
        let mut changed = Instant::now();
        loop {
            self.fleet.must_live()?;
            // A server that is just starting is looked at again.
            let level = self.runtime.block_on(look(self)).ok();
            if level.as_ref().is_some_and(&holds) {
                return Ok(());
            }
            if level.is_some() && level != known {
                (known, changed) = (level, Instant::now());
            }
            if changed.elapsed() > STUCK_MAX {
                bail!(
                    "stuck: {otherwise}, of {} events\n{known:#?}\n{}",
                    self.events,
                    self.fleet.last_words()
                );
            }
            thread::sleep(interval);
        }
    }

    /// How much of the history has happened.
    async fn happened(&self) -> anyhow::Result<u64> {
        self.crm.number("SELECT happened FROM progress").await
    }

    async fn level(&self) -> anyhow::Result<Level> {
        let mut checkpoints = Vec::new();
        for (_, eyes) in &self.followers {
            checkpoints.push(eyes.rows(CHECKPOINTS).await?);
        }
        let crm = &self.crm;
        Ok(Level {
            happened: self.happened().await?,
            unsent: crm
                .number("SELECT count(*) FROM outbox WHERE seq IS NULL")
                .await?,
            tops: crm.rows(TOPS).await?,
            receipts: crm.rows(RECEIPTS).await?,
            checkpoints,
        })
    }

    /// Asks databases something.
    pub(super) fn look<T>(&self, look: impl AsyncFnOnce(&Self) -> T) -> T {
        self.runtime.block_on(look(self))
    }

    pub(super) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    pub(super) fn server_kills(&self) -> String {
        let (postgres, mariadb) = (&self.postgres, &self.mariadb);
        format!("PostgreSQL {postgres}, MariaDB {mariadb}")
    }
}

impl Kills {
    fn count(&mut self, at_stake: u64) {
        self.count += 1;
        self.at_stake += at_stake;
    }
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} events at stake", self.count, self.at_stake)
    }
}

/// The consumers of each follower.
const NAMES: [[&str; 2]; 3] = [
    ["sqlite-1", "sqlite-2"],
    ["postgres-1", "postgres-2"],
    ["mariadb-1", "mariadb-2"],
];

const TOPS: &str = "SELECT shard, generation, seq FROM millstream_shards
                    WHERE role = 'relay' AND seq > 0 ORDER BY shard";

const RECEIPTS: &str = "SELECT subscriber, shard, settled_generation, settled_seq
                        FROM millstream_subscribers WHERE settled_seq > 0 ORDER BY shard";

const CHECKPOINTS: &str = "SELECT shard, generation, seq FROM millstream_shards
                           WHERE role = 'consumer' AND shard >= 0 AND seq > 0 ORDER BY shard";

/// Events that CRM's database has, unsent or sent.
const COMMITTED: &str = "SELECT (SELECT count(*) FROM outbox WHERE seq IS NULL)
          + (SELECT coalesce(sum(seq), 0) FROM millstream_shards WHERE role = 'relay')";

/// Events that a follower's database has.
const SETTLED: &str = "SELECT coalesce(sum(seq), 0) FROM millstream_shards
                       WHERE role = 'consumer' AND shard >= 0";

#[expect(clippy::cast_precision_loss, reason = "a rough pace")]
fn pace(events: u64) -> f64 {
    (events as f64 / HISTORY_SECONDS).max(PACE_MIN)
}
