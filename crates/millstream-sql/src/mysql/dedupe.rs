//! Which deliveries were here before, where the checkpoint cannot tell.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use mysql_async::{Row, Value};

use millstream_core::contents::ContentHash;
use millstream_core::delivery::{Content, Delivery};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::lease::Role;
use millstream_core::name::EventId;

use crate::batch::{Dedupe, Found, Letter, Twin, is_of_later_generation, tenant};
use crate::identifier::Prefix;
use crate::mysql::inbox::source;
use crate::mysql::row::{bytes, entry_id, integer, text};
use crate::mysql::session::{Session, values};
use crate::repeats::{self, Earlier, Trace, processed_before};

/// What was committed before says about each delivery.
pub(super) async fn look(
    dedupe: Dedupe<'_>,
    session: &mut Session,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> Result<Vec<Found>, Error> {
    match dedupe {
        Dedupe::Checkpoint => Ok(vec![Found::New(Twin::FIRST); deliveries.len()]),
        Dedupe::Generation(shard) => again(session, prefix, shard, deliveries).await,
        Dedupe::Shared => shared(session, prefix, row, deliveries, contents).await,
    }
}

const DOING: &str = "look into the inbox";

/// Texts in one statement.
const TEXTS_MAX: usize = 256;

/// Question marks for `IN (…)`, and what they stand for, as many statements as it takes. The last text
/// fills up, so that few different ones come of it.
pub(super) fn texts<'a>(
    all: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (String, Vec<Value>)> {
    let all: Vec<&str> = all.collect::<HashSet<_>>().into_iter().collect();
    let chunks: Vec<_> = all
        .chunks(TEXTS_MAX)
        .map(|chunk| {
            let length = chunk.len().next_power_of_two();
            let last = chunk.last().copied();
            let texts = chunk.iter().copied().chain(last.into_iter().cycle());
            let values = texts.take(length).map(Value::from).collect();
            (vec!["?"; length].join(", "), values)
        })
        .collect();
    chunks.into_iter()
}

/// Of parked events that are tried again, those to be passed over: a letter that is not in its turn,
/// and an event of the shared stream that was processed under another entry.
pub(super) async fn look_again(
    dedupe: Dedupe<'_>,
    session: &mut Session,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
    letters: &[Option<Letter>],
) -> Result<Vec<Found>, Error> {
    let known = match dedupe {
        Dedupe::Shared => by_event(session, prefix, row, deliveries).await?,
        Dedupe::Checkpoint | Dedupe::Generation(_) => Processed::new(),
    };
    let found = |at: usize| match &letters[at] {
        None => Found::Repeated,
        Some(_) => processed_before(
            processed(&known, &deliveries[at]),
            Twin::FIRST,
            contents[at],
        ),
    };
    Ok((0..deliveries.len()).map(found).collect())
}

/// What events say that were processed, by id, source and tenant.
type Processed = HashMap<(String, String, String), Vec<Option<ContentHash>>>;

/// What those say that were processed under the id of a delivery.
fn processed<'a>(known: &'a Processed, delivery: &Delivery) -> &'a [Option<ContentHash>] {
    match &delivery.content {
        Content::Event { event, .. } => {
            let (id, source) = (event.id.as_str(), event.source.as_str());
            let identity = (id.into(), source.into(), event.tenant.as_str().into());
            known.get(&identity).map_or(&[], Vec::as_slice)
        }
        Content::Undecodable(_) => &[],
    }
}

/// Those of a later generation whose event is in the inbox, from whichever shard of the stream.
async fn again(
    session: &mut Session,
    prefix: &Prefix,
    shard: &Shard,
    deliveries: &[Delivery],
) -> Result<Vec<Found>, Error> {
    let later = deliveries
        .iter()
        .filter(|delivery| is_of_later_generation(delivery));
    let ids = later.filter_map(Delivery::event_id).map(EventId::as_str);
    let mut known: HashSet<(String, Option<String>)> = HashSet::new();
    for (marks, mut parameters) in texts(ids) {
        let sql = prefix.sql(&format!(
            "SELECT i.event_id, i.tenant_id
             FROM ~millstream_inbox i JOIN ~millstream_shards s ON s.id = i.shard
             WHERE i.event_id IN ({marks}) AND s.role = ? AND s.stream = ? AND s.source = ?"
        ));
        parameters.extend(values![
            Role::Consumer.as_str(),
            shard.stream.as_str(),
            shard.owner.as_str(),
        ]);
        let rows = session.all(DOING, &sql, parameters).await?;
        known.extend(
            rows.iter()
                .map(|row| (text(row, 0).unwrap_or_default(), text(row, 1))),
        );
    }
    let is_known = |delivery: &Delivery| {
        let tenant = tenant(delivery).map(|tenant| tenant.as_str().to_owned());
        delivery
            .event_id()
            .is_some_and(|id| known.contains(&(id.as_str().to_owned(), tenant)))
    };
    let found = |delivery| match is_of_later_generation(delivery) && is_known(delivery) {
        true => Found::Repeated,
        false => Found::New(Twin::FIRST),
    };
    Ok(deliveries.iter().map(found).collect())
}

/// Those of the shared stream that were here before.
async fn shared(
    session: &mut Session,
    prefix: &Prefix,
    row: i64,
    deliveries: &[Delivery],
    contents: &[Option<ContentHash>],
) -> Result<Vec<Found>, Error> {
    let by_entry = by_entry(session, prefix, row, deliveries).await?;
    let by_event = by_event(session, prefix, row, deliveries).await?;
    let trace = |delivery: &Delivery| Trace {
        entries: by_entry
            .get(&delivery.entry)
            .map_or_else(Vec::new, |rows| rows.iter().map(earlier).collect()),
        processed: processed(&by_event, delivery).to_vec(),
    };
    let traces: Vec<Trace> = deliveries.iter().map(trace).collect();
    let source = |delivery| source(delivery).map(Cow::from);
    Ok(repeats::find(deliveries, contents, &traces, source))
}

fn earlier(row: &Row) -> Earlier {
    let raw = bytes(row, 6);
    Earlier {
        twin: Twin(integer(row, 2)),
        event_id: text(row, 3),
        source: text(row, 4),
        tenant: text(row, 5),
        raw: (!raw.is_empty()).then(|| raw.to_vec()),
        contents: hash(row, 7),
    }
}

/// What is in the inbox under the entry ids of the deliveries, by twin.
async fn by_entry(
    session: &mut Session,
    prefix: &Prefix,
    shard: i64,
    deliveries: &[Delivery],
) -> Result<HashMap<EntryId, Vec<Row>>, Error> {
    let mut entries: Vec<EntryId> = deliveries.iter().map(|delivery| delivery.entry).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut rows: HashMap<EntryId, Vec<Row>> = HashMap::new();
    for chunk in entries.chunks(TEXTS_MAX) {
        let length = chunk.len().next_power_of_two();
        let marks = vec!["(?, ?)"; length].join(", ");
        let sql = prefix.sql(&format!(
            "SELECT i.generation, i.seq, i.twin, i.event_id, i.source_application, i.tenant_id, d.raw,
                    i.content_hash
             FROM ~millstream_inbox i LEFT JOIN ~dead_letters d
               ON d.shard = i.shard AND d.generation = i.generation AND d.seq = i.seq
                 AND d.twin = i.twin
             WHERE i.shard = ? AND (i.generation, i.seq) IN ({marks}) ORDER BY i.twin"
        ));
        let mut parameters = values![shard];
        let last = chunk.last().copied();
        for entry in chunk
            .iter()
            .copied()
            .chain(last.into_iter().cycle())
            .take(length)
        {
            parameters.extend(values![entry.high.cast_signed(), entry.low.cast_signed()]);
        }
        for row in session.all(DOING, &sql, parameters).await? {
            let at = entry_id(&row, 0);
            rows.entry(at).or_default().push(row);
        }
    }
    Ok(rows)
}

/// Which events were processed under the ids of the deliveries.
async fn by_event(
    session: &mut Session,
    prefix: &Prefix,
    shard: i64,
    deliveries: &[Delivery],
) -> Result<Processed, Error> {
    let ids = deliveries.iter().filter_map(Delivery::event_id);
    let mut processed = Processed::new();
    for (marks, mut parameters) in texts(ids.map(EventId::as_str)) {
        let sql = prefix.sql(&format!(
            "SELECT event_id, source_application, tenant_id, content_hash FROM ~millstream_inbox
             WHERE event_id IN ({marks}) AND shard = ?
               AND outcome IN ('applied', 'superseded', 'skipped')"
        ));
        parameters.push(shard.into());
        for row in &session.all(DOING, &sql, parameters).await? {
            let word = |column| text(row, column).unwrap_or_default();
            let identity = (word(0), word(1), word(2));
            processed.entry(identity).or_default().push(hash(row, 3));
        }
    }
    Ok(processed)
}

fn hash(row: &Row, column: usize) -> Option<ContentHash> {
    let hash: Option<Option<i64>> = row.get(column);
    hash.flatten().map(ContentHash::from_i64)
}
