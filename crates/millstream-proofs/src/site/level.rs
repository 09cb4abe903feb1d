use std::collections::BTreeMap;
use std::fmt;

use millstream::rusqlite::Connection;
use millstream_core::entry::EntryId;

use crate::site::{View, unsigned};

/// How far everything is, as the databases and the log themselves say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Level {
    /// Rows of the outbox.
    pub(crate) published: u64,
    /// Those of them without a number.
    pub(crate) unsent: u64,
    /// By shard: what CRM's relay has numbered last.
    pub(crate) top: Marks,
    /// By shard: the last entry of the log.
    pub(crate) last: Marks,
    pub(crate) followers: BTreeMap<&'static str, Follower>,
}

/// How far an application is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Follower {
    /// What it has settled.
    pub(crate) checkpoints: Marks,
    /// What it has published of that.
    pub(crate) positions: Marks,
    /// What CRM knows of it.
    pub(crate) receipts: Marks,
}

/// A place in each shard.
pub(crate) type Marks = BTreeMap<u16, EntryId>;

impl Level {
    /// Looks. What is read first can only be behind what is read later.
    pub(crate) fn read(view: &View) -> anyhow::Result<Self> {
        let mut followers = BTreeMap::new();
        for (application, db) in view.followers() {
            let follower = Follower {
                receipts: receipts(&view.crm, application)?,
                positions: view.log.positions(application)?,
                checkpoints: checkpoints(db, "consumer")?,
            };
            followers.insert(application, follower);
        }
        let last = view.log.last()?;
        let top = checkpoints(&view.crm, "relay")?;
        let (published, unsent) = view.crm.query_row(
            "SELECT count(*), count(*) FILTER (WHERE seq IS NULL) FROM outbox",
            [],
            |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)),
        )?;
        Ok(Self {
            published,
            unsent,
            top,
            last,
            followers,
        })
    }

    /// Whether `events` were published, sent, settled by everybody, shown to be and known to be.
    pub(crate) fn is_settled(&self, events: u64) -> bool {
        let numbered: u64 = self.top.values().map(|top| top.low).sum();
        self.published == events
            && self.unsent == 0
            && numbered == events
            && self.last == written(&self.top)
            && self.followers.values().all(|follower| {
                [
                    &follower.checkpoints,
                    &follower.positions,
                    &follower.receipts,
                ]
                .into_iter()
                .all(|marks| written(marks) == self.last)
            })
    }
}

/// Without the shards in which nothing ever stood.
fn written(marks: &Marks) -> Marks {
    let mut marks = marks.clone();
    marks.retain(|_, mark| *mark != EntryId::ZERO);
    marks
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "outbox: {} rows, {} without a number",
            self.published, self.unsent
        )?;
        writeln!(f, "numbered:  {}", Shown(&self.top))?;
        write!(f, "in the log: {}", Shown(&self.last))?;
        for (application, follower) in &self.followers {
            write!(
                f,
                "\n{application} settled:   {}",
                Shown(&follower.checkpoints)
            )?;
            write!(
                f,
                "\n{application} published: {}",
                Shown(&follower.positions)
            )?;
            write!(
                f,
                "\n{application} confirmed: {}",
                Shown(&follower.receipts)
            )?;
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Marks);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shard, mark) in self.0 {
            write!(f, "{shard}: {mark}  ")?;
        }
        Ok(())
    }
}

/// What an application's database says of the shards of CRM's stream.
pub(crate) fn checkpoints(db: &Connection, role: &str) -> anyhow::Result<Marks> {
    let sql = "SELECT shard, generation, seq FROM millstream_shards WHERE role = ?1 AND shard >= 0";
    marks(db, sql, role)
}

/// What CRM knows of an application: the receipts that it has taken in.
fn receipts(crm: &Connection, application: &str) -> anyhow::Result<Marks> {
    let sql = "SELECT shard, settled_generation, settled_seq FROM millstream_subscribers
               WHERE subscriber = ?1";
    marks(crm, sql, application)
}

/// Shards with a place in each.
pub(super) fn marks(db: &Connection, sql: &str, value: &str) -> anyhow::Result<Marks> {
    let mut statement = db.prepare_cached(sql)?;
    let marks = statement.query_map([value], |row| {
        Ok((
            row.get(0)?,
            EntryId::new(unsigned(row, 1)?, unsigned(row, 2)?),
        ))
    })?;
    Ok(marks.collect::<Result<_, _>>()?)
}
