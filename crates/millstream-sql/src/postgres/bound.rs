//! Where the search for unsent events begins.
//!
//! An index keeps an entry for each event that was numbered until nobody can see its old row any more: a
//! transaction that reads for an hour makes every search begin with an hour of them. So it begins above
//! the ids of which none can come any more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::GenericClient;

use millstream_core::error::Error;
use millstream_core::name::StreamName;

use crate::postgres::database::{Database, while_doing};

/// How often a new bound is looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often everything is looked at: an application may give a row another stream long after.
const EVERYTHING_INTERVAL: Duration = Duration::from_secs(60);

/// Bounds of the streams that this process sends.
#[derive(Debug, Default)]
pub(super) struct Bounds(Mutex<HashMap<StreamName, Bound>>);

#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Nothing at or below this id is unsent, nor will be.
    above: i64,
    candidate: Option<Candidate>,
    /// When a bound was looked for, and when everything was looked at.
    tried: Instant,
    looked: Instant,
}

/// An id, and the transaction below which all have ended before the id may be a bound.
///
/// Who draws an id has a transaction id by then: our trigger locks the key first. So those that drew up
/// to this one are below the `xmax` of a snapshot that was taken after the sequence was read.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: i64,
    xmax: i64,
}

/// A look at the outbox.
#[derive(Debug)]
pub(super) struct Look {
    /// Above this id.
    pub(super) above: i64,
    /// What will be the bound if it finds everything.
    then: Option<i64>,
}

impl Bounds {
    /// Begins a look. The statement that looks must begin after this has returned.
    pub(super) async fn look(
        &self,
        client: &impl GenericClient,
        db: &Database,
        stream: &StreamName,
    ) -> Result<Look, Error> {
        let now = Instant::now();
        let mut bound = self.bound(stream, now);
        let everything = now.duration_since(bound.looked) >= EVERYTHING_INTERVAL;
        let above = if everything { 0 } else { bound.above };
        if now.duration_since(bound.tried) < INTERVAL {
            return Ok(Look { above, then: None });
        }
        bound.tried = now;
        let mut then = None;
        match bound.candidate {
            None => bound.candidate = Some(candidate(client, db).await?),
            Some(candidate) if horizon(client).await? >= candidate.xmax => {
                then = Some(candidate.id);
                bound.candidate = None;
            }
            Some(_) => {}
        }
        if let Some(known) = self.lock().get_mut(stream) {
            (known.tried, known.candidate) = (bound.tried, bound.candidate);
        }
        Ok(Look { above, then })
    }

    /// Says that a look has found everything, and all of it is numbered.
    pub(super) fn raise(&self, stream: &StreamName, look: &Look) {
        // Not if it was forgotten since: the look began too high then.
        if let Some(bound) = self.lock().get_mut(stream)
            && (look.above == 0 || look.above == bound.above)
        {
            if look.above == 0 {
                bound.looked = Instant::now();
            }
            bound.above = look.then.unwrap_or(bound.above).max(bound.above);
        }
    }

    /// Begins from the beginning: events have lost their numbers, or got a stream.
    pub(super) fn forget(&self, stream: &StreamName) {
        self.lock().remove(stream);
    }

    fn bound(&self, stream: &StreamName, now: Instant) -> Bound {
        let begun = Bound {
            above: 0,
            candidate: None,
            tried: now,
            looked: now,
        };
        *self.lock().entry(stream.clone()).or_insert(begun)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamName, Bound>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an event waits for a number.
pub(super) async fn anything_waits(db: &Database, stream: &StreamName) -> Result<bool, Error> {
    const DOING: &str = "look for unsent events";
    let failed = while_doing(DOING);
    let now = Instant::now();
    let bound = db.bounds.bound(stream, now);
    let everything = now.duration_since(bound.looked) >= EVERYTHING_INTERVAL;
    let above = if everything { 0 } else { bound.above };
    let connection = db.connection(DOING).await?;
    let query = connection
        .prepare_cached(&db.sql(
            "SELECT EXISTS (SELECT 1 FROM ~outbox WHERE stream = $1 AND seq IS NULL AND id > $2)",
        ))
        .await
        .map_err(failed)?;
    connection
        .query_one(&query, &[&stream.as_str(), &above])
        .await
        .map(|row| row.get(0))
        .map_err(failed)
}

async fn candidate(client: &impl GenericClient, db: &Database) -> Result<Candidate, Error> {
    let failed = while_doing("look for the last id of the outbox");
    // Two statements: the snapshot must come after.
    let sequence = client
        .query_one(&db.sql("SELECT last_value FROM ~outbox_id_seq"), &[])
        .await
        .map_err(failed)?;
    let snapshot = client
        .query_one(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
            &[],
        )
        .await
        .map_err(failed)?;
    Ok(Candidate {
        id: sequence.get(0),
        xmax: snapshot.get(0),
    })
}

/// Below this transaction, all have ended.
async fn horizon(client: &impl GenericClient) -> Result<i64, Error> {
    client
        .query_one(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
            &[],
        )
        .await
        .map(|row| row.get(0))
        .map_err(while_doing("look for the oldest transaction"))
}
