use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use millstream::rusqlite::Connection;
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::log::Description;
use millstream_core::name::{AppName, StreamName};
use tokio::runtime::{Builder, Runtime};

use crate::site::level::{Marks, marks};
use crate::site::view::open;
use crate::site::{STREAM, Site};

/// How many shards CRM's stream has.
const SHARDS: u16 = 4;

/// Eyes on the transport.
#[derive(Debug)]
pub(crate) enum Log {
    /// The file of the embedded log, past the code that is being judged.
    Embedded(Connection),
    /// A server, by a connection of our own.
    Served(Served),
}

impl Log {
    /// Looks into the embedded log of a site, which must have been made.
    pub(crate) fn embedded(site: &Site) -> anyhow::Result<Self> {
        Ok(Self::Embedded(open(&site.log())?))
    }

    /// Looks at what is served at that URL.
    pub(crate) fn served(url: &str) -> anyhow::Result<Self> {
        Ok(Self::Served(Served::connect(url)?))
    }

    /// What an application has published of its checkpoints. Nothing, as long as the transport is
    /// away.
    pub(crate) fn positions(&self, application: &str) -> anyhow::Result<Marks> {
        match self {
            Self::Embedded(db) => {
                let sql = format!(
                    "SELECT {SHARD}, p.high, p.low FROM positions p JOIN streams s ON s.id = p.stream_id
                     WHERE s.kind = 'owned' AND p.group_name = ?1"
                );
                marks(db, &sql, application)
            }
            Self::Served(served) => served.positions(&AppName::new(application)?),
        }
    }

    /// The last entries of the shards. Nothing, as long as the transport is away.
    pub(crate) fn last(&self) -> anyhow::Result<Marks> {
        match self {
            Self::Embedded(db) => {
                let sql = format!(
                    "SELECT {SHARD}, s.high, s.low FROM streams s WHERE s.kind = ?1 AND s.high > 0"
                );
                marks(db, &sql, "owned")
            }
            Self::Served(served) => served.last(),
        }
    }
}

/// The number at the end of a key such as `inter-app-events:{crm:3}`.
const SHARD: &str = "CAST(rtrim(substr(s.key, instr(s.key, '{crm:') + 5), '}') AS INTEGER)";

/// A server that holds the log.
pub(crate) struct Served {
    runtime: Runtime,
    log: Arc<dyn millstream_core::log::Log>,
}

impl Served {
    /// Connects; whatever becomes of the server later, it is looked for again.
    pub(crate) fn connect(url: &str) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let log = runtime.block_on(millstream::connect(url))?.log;
        Ok(Self { runtime, log })
    }

    /// What the shards hold, in their order. None as long as the server is away.
    pub(crate) fn descriptions(&self) -> anyhow::Result<Option<Vec<Description>>> {
        self.ask(async |shard| self.log.describe(shard).await)
    }

    fn positions(&self, application: &AppName) -> anyhow::Result<Marks> {
        let positions = self.ask(async |shard| {
            let all = self.log.positions(shard).await?;
            let mut own = all.into_iter().filter(|known| known.group == *application);
            Ok(own.next().map(|position| position.at).unwrap_or_default())
        })?;
        Ok(by_shard(positions.unwrap_or_default()))
    }

    fn last(&self) -> anyhow::Result<Marks> {
        let all = self.descriptions()?.unwrap_or_default();
        Ok(by_shard(all.into_iter().map(|about| about.last)))
    }

    fn ask<T>(
        &self,
        look: impl AsyncFn(&Shard) -> Result<T, Error>,
    ) -> anyhow::Result<Option<Vec<T>>> {
        self.runtime.block_on(async {
            let mut seen = Vec::new();
            for shard in shards()? {
                match look(&shard).await {
                    Ok(what) => seen.push(what),
                    Err(error) if error.kind() == ErrorKind::Unavailable => return Ok(None),
                    Err(error) => return Err(error).context("cannot look at the transport"),
                }
            }
            Ok(Some(seen))
        })
    }
}

/// Without the shards in which nothing ever stood.
fn by_shard(marks: impl IntoIterator<Item = EntryId>) -> Marks {
    let marks = (0..).zip(marks);
    marks.filter(|(_, mark)| *mark != EntryId::ZERO).collect()
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Served({:?})", self.log)
    }
}

/// The shards of CRM's stream.
pub(crate) fn shards() -> anyhow::Result<Vec<Shard>> {
    let (stream, owner) = (StreamName::new(STREAM)?, AppName::new("crm")?);
    let shard = |number| Shard {
        stream: stream.clone(),
        owner: owner.clone(),
        number,
    };
    Ok((0..SHARDS).map(shard).collect())
}
