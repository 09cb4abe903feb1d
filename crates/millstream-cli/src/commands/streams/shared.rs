use millstream::core::entry::EntryId;
use millstream::core::error::Error;
use millstream::core::name::StreamName;
use millstream::{Config, Transport};

use crate::commands::streams::row::{Group, Id, Row};
use crate::commands::streams::state::State;
use crate::commands::trim::shared::Reader;

/// The row of the shared stream of this name, if anybody has ever added to it.
pub(super) async fn row(
    config: &Config,
    transport: &Transport,
    stream: &StreamName,
) -> Result<Option<Row>, Error> {
    let found = transport.queue.describe_shared(stream).await?;
    if found.last == EntryId::ZERO {
        return Ok(None);
    }
    let readers = Reader::all(config, transport, stream).await?;
    let lowest = readers.iter().map(|reader| reader.needs).min();
    let groups = readers
        .iter()
        .map(|reader| Group {
            name: reader.name.to_string(),
            at: Id(reader.last_delivered),
            lag: reader.lag.unwrap_or(found.length),
            pending: reader.pending,
            base: None,
            settled: None,
            holds_floor: Some(reader.needs) == lowest && reader.needs <= found.last,
        })
        .collect();
    Ok(Some(Row {
        stream: stream.to_string(),
        publisher: None,
        shard: None,
        length: found.length,
        first: found.first.map(Id),
        last: Id(found.last),
        floor: None,
        top: None,
        state: State::Ok,
        groups,
    }))
}
