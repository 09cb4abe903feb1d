//! Where the search for unsent events begins.
//!
//! An index keeps an entry for each event that was numbered until nobody can see its old row any more: a
//! transaction that reads for an hour makes every search begin with an hour of them. So it begins above
//! the ids of which none can come any more.
//!
//! A server that crashed, or another one in its place, gives some of these ids again: what a sequence gave
//! to transactions that did not commit, it forgets. No session outlives that. So a bound counts for sessions
//! alone that were there before the sequence was read for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Client;

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
    /// Nothing at or below this id is unsent, nor will be, and when the sequence was read for it.
    above: i64,
    since: Instant,
    candidate: Option<Candidate>,
    /// When a bound was looked for, and when everything was looked at.
    tried: Instant,
    looked: Instant,
}

/// An id, and the transaction below which all have ended before the id may be a bound.
///
/// Who draws an id has a transaction id by then: our trigger locks the key first. So those that drew up
/// to this one are below a transaction id that was given after the sequence was read. The `xmax` of a
/// snapshot is none: it is next to what has completed, and what is open may be above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    id: i64,
    below: i64,
    /// When it began to be read.
    since: Instant,
}

/// A look at the outbox.
#[derive(Debug)]
pub(super) struct Look {
    /// Above this id.
    pub(super) above: i64,
    /// What will be the bound if it finds everything, and since when.
    then: Option<(i64, Instant)>,
}

impl Bounds {
    /// Begins a look by this session, whose next statement looks.
    pub(super) async fn look(&self, session: &Object, stream: &StreamName) -> Result<Look, Error> {
        let now = Instant::now();
        let mut bound = self.bound(stream, now);
        let above = bound.above_for(session, now);
        if now.duration_since(bound.tried) < INTERVAL {
            return Ok(Look { above, then: None });
        }
        let mut then = None;
        if let Some(candidate) = bound.candidate {
            bound.tried = now;
            if !outlives(session, candidate.since) {
                bound.candidate = None;
            } else if horizon(session).await? >= candidate.below {
                then = Some((candidate.id, candidate.since));
                bound.candidate = None;
            }
        }
        if let Some(known) = self.lock().get_mut(stream) {
            (known.tried, known.candidate) = (bound.tried, bound.candidate);
        }
        Ok(Look { above, then })
    }

    /// Whether a candidate is due. Only a transaction that has found rows looks for one: it gets an id
    /// anyway, and where nothing is found no bound is needed.
    pub(super) fn wants_candidate(&self, stream: &StreamName) -> bool {
        let now = Instant::now();
        let bound = self.bound(stream, now);
        bound.candidate.is_none() && now.duration_since(bound.tried) >= INTERVAL
    }

    /// Takes a candidate of a transaction that has committed.
    pub(super) fn propose(&self, stream: &StreamName, candidate: Candidate) {
        if let Some(bound) = self.lock().get_mut(stream) {
            (bound.candidate, bound.tried) = (Some(candidate), Instant::now());
        }
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
            // A later one may be lower, after a crash.
            if let Some((above, since)) = look.then {
                (bound.above, bound.since) = (above, since);
            }
        }
    }

    /// Begins from the beginning: events have lost their numbers, or got a stream.
    pub(super) fn forget(&self, stream: &StreamName) {
        self.lock().remove(stream);
    }

    fn bound(&self, stream: &StreamName, now: Instant) -> Bound {
        let begun = Bound {
            above: 0,
            since: now,
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

impl Bound {
    /// Where a session begins to look.
    fn above_for(&self, session: &Object, now: Instant) -> i64 {
        let everything = now.duration_since(self.looked) >= EVERYTHING_INTERVAL;
        match everything || !outlives(session, self.since) {
            true => 0,
            false => self.above,
        }
    }
}

/// Whether a session was there before that: no crash has come in between.
fn outlives(session: &Object, moment: Instant) -> bool {
    // Noted when the session was there already.
    Object::metrics(session).created < moment
}

/// Whether an event waits for a number.
pub(super) async fn anything_waits(db: &Database, stream: &StreamName) -> Result<bool, Error> {
    const DOING: &str = "look for unsent events";
    let failed = while_doing(DOING);
    let now = Instant::now();
    let bound = db.bounds.bound(stream, now);
    let connection = db.connection(DOING).await?;
    let above = bound.above_for(&connection, now);
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

/// Looks for a candidate in a transaction that has changed nothing yet, and so has no id.
pub(super) async fn candidate(tx: &Transaction<'_>, db: &Database) -> Result<Candidate, Error> {
    let failed = while_doing("look for the last id of the outbox");
    let since = Instant::now();
    // Two statements: the transaction's id must come after.
    let sequence = tx
        .query_one(&db.sql("SELECT last_value FROM ~outbox_id_seq"), &[])
        .await
        .map_err(failed)?;
    let own = tx
        .query_one("SELECT pg_current_xact_id()::text::bigint", &[])
        .await
        .map_err(failed)?;
    Ok(Candidate {
        id: sequence.get(0),
        below: own.get(0),
        since,
    })
}

/// Below this transaction, all have ended.
async fn horizon(client: &Client) -> Result<i64, Error> {
    client
        .query_one(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
            &[],
        )
        .await
        .map(|row| row.get(0))
        .map_err(while_doing("look for the oldest transaction"))
}
