use rusqlite::TransactionBehavior;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::name::{AppName, StreamName};

use super::call::call;
use super::connect::Transport;
use super::id::Columns;
use super::key::Key;

pub(super) async fn ack(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
    entries: &[EntryId],
) -> Result<u64, Error> {
    if entries.is_empty() {
        return Ok(0);
    }
    let key = Key::shared(stream);
    let group = group.clone();
    // An id that cannot be stored is not pending either.
    let ids: Vec<_> = entries
        .iter()
        .filter_map(|&id| Columns::exact(id).ok())
        .collect();
    call(
        &transport.relaxed,
        "ack entries of",
        key.clone(),
        move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(stream) = key.find(&transaction)? else {
                return Ok(0);
            };
            let mut acked = 0;
            {
                let mut delete = transaction.prepare_cached(
                    "DELETE FROM pending
                 WHERE stream_id = ?1 AND group_name = ?2 AND high = ?3 AND low = ?4",
                )?;
                for id in &ids {
                    acked += delete.execute((stream.id, group.as_str(), id.high, id.low))?;
                }
            }
            transaction.commit()?;
            Ok(acked as u64)
        },
    )
    .await
}
