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
    /// By application: its checkpoints, and what it has published of them.
    pub(crate) followers: BTreeMap<&'static str, (Marks, Marks)>,
}

/// A place in each shard.
pub(crate) type Marks = BTreeMap<u16, EntryId>;

impl Level {
    /// Looks. What is read first can only be behind what is read later.
    pub(crate) fn read(view: &View) -> anyhow::Result<Self> {
        let mut followers = BTreeMap::new();
        for (application, db) in view.followers() {
            let positions = positions(&view.log, application)?;
            followers.insert(application, (checkpoints(db, "consumer")?, positions));
        }
        let last = last(&view.log)?;
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

    /// Whether `events` were published, sent, settled by everybody, and shown to be.
    pub(crate) fn is_settled(&self, events: u64) -> bool {
        let numbered: u64 = self.top.values().map(|top| top.low).sum();
        self.published == events
            && self.unsent == 0
            && numbered == events
            && self.last == written(&self.top)
            && self.followers.values().all(|(checkpoints, positions)| {
                written(checkpoints) == self.last && *positions == self.last
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
        for (application, (checkpoints, positions)) in &self.followers {
            write!(f, "\n{application} settled:   {}", Shown(checkpoints))?;
            write!(f, "\n{application} published: {}", Shown(positions))?;
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

/// What an application has published of its checkpoints.
pub(crate) fn positions(log: &Connection, application: &str) -> anyhow::Result<Marks> {
    let sql = format!(
        "SELECT {SHARD}, p.high, p.low FROM positions p JOIN streams s ON s.id = p.stream_id
         WHERE s.kind = 'owned' AND p.group_name = ?1"
    );
    marks(log, &sql, application)
}

/// The last entries of the shards.
pub(crate) fn last(log: &Connection) -> anyhow::Result<Marks> {
    let sql =
        format!("SELECT {SHARD}, s.high, s.low FROM streams s WHERE s.kind = ?1 AND s.high > 0");
    marks(log, &sql, "owned")
}

/// The number at the end of a key such as `inter-app-events:{crm:3}`.
const SHARD: &str = "CAST(rtrim(substr(s.key, instr(s.key, '{crm:') + 5), '}') AS INTEGER)";

fn marks(db: &Connection, sql: &str, value: &str) -> anyhow::Result<Marks> {
    let mut statement = db.prepare_cached(sql)?;
    let marks = statement.query_map([value], |row| {
        Ok((
            row.get(0)?,
            EntryId::new(unsigned(row, 1)?, unsigned(row, 2)?),
        ))
    })?;
    Ok(marks.collect::<Result<_, _>>()?)
}
