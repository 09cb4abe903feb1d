//! What the application's tables look like, and whether they still do.

use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::info;

use millstream_core::error::{self, ErrorKind};
use millstream_core::mapping::{self, Router, Spec};
use millstream_core::store::Store;

use super::{Consumer, Error, Running};
use crate::consumer::judge::{Judge, Tables};

/// How often the tables are described again without anybody asking. Whoever writes to one that was altered
/// notices by itself; this finds what relates tables to others.
const DESCRIBE_INTERVAL: Duration = Duration::from_secs(30);

/// Fits mappings to the tables of a database, as each consumer does before its first event.
///
/// # Errors
///
/// [`Error::Mappings`] with everything that is malformed or does not fit; [`Error::Store`] when the
/// tables cannot be looked at.
pub async fn fit(store: &dyn Store, mappings: &[Spec]) -> Result<Router, Error> {
    let tables = describe(store, mappings).await?;
    mapping::compile(mappings, &tables).map_err(Error::Mappings)
}

async fn describe(store: &dyn Store, mappings: &[Spec]) -> Result<Tables, error::Error> {
    let names = mapping::table_names(mappings);
    let described = store.tables(&names).await?;
    let known = names.into_iter().zip(described);
    let known = known.filter_map(|(name, table)| Some((name, table?)));
    Ok(known.collect())
}

impl Consumer {
    /// Describes the tables that mappings write to.
    async fn describe(&self) -> Result<Tables, error::Error> {
        describe(&*self.store, &self.options.mappings).await
    }

    /// Describes the tables, and checks the mappings against them.
    pub(super) async fn judge(&self) -> Result<Judge, Error> {
        let tables = self.describe().await?;
        self.judge_by(tables)
    }

    fn judge_by(&self, tables: Tables) -> Result<Judge, Error> {
        let router = mapping::compile(&self.options.mappings, &tables).map_err(Error::Mappings)?;
        Ok(Judge {
            application: self.options.application.clone(),
            router,
            tables,
            outdated: Notify::new(),
            handled: self.store.handled().into_iter().collect(),
            clock: self.clock.clone(),
        })
    }
}

/// When the tables are described next, and why the last description was of no use.
#[derive(Debug)]
pub(super) struct Describing {
    next: Instant,
    unfit: Option<error::Error>,
}

impl Describing {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now() + DESCRIBE_INTERVAL,
            unfit: None,
        }
    }

    /// Somebody has found a table altered.
    pub(super) fn hurry(&mut self) {
        self.next = Instant::now();
    }

    /// Why events for some table have to wait, if they do.
    pub(super) fn unfit(&self) -> Option<&error::Error> {
        self.unfit.as_ref()
    }
}

impl Running {
    /// Describes the tables again if it is time. If one was altered, every feed begins anew from its
    /// checkpoint, with changes that are planned for it. While the mappings do not fit it, what writes to
    /// it waits, and the rest goes on.
    pub(super) async fn describe_again(&mut self) -> Result<(), Error> {
        if self.describing.unfit.is_none() && Instant::now() < self.describing.next {
            return Ok(());
        }
        self.describing.unfit = match self.consumer.describe().await {
            Ok(tables) if tables == self.judge.tables => None,
            Ok(tables) => match self.consumer.judge_by(tables) {
                Ok(judge) => {
                    info!("tables were altered: feeds begin anew");
                    self.judge = judge.into();
                    for held in self.held.values() {
                        held.stop.cancel();
                    }
                    None
                }
                Err(Error::Mappings(problems)) => {
                    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
                    let text = format!("mappings fit no more: {}", problems.join("; "));
                    Some(error::Error::new(ErrorKind::Misconfigured, text))
                }
                Err(other) => return Err(other),
            },
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error.into()),
            Err(error) => Some(error),
        };
        self.describing.next = Instant::now() + DESCRIBE_INTERVAL;
        Ok(())
    }
}
