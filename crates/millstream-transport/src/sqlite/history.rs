use rusqlite::TransactionBehavior;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;
use millstream_core::name::StreamName;
use millstream_core::queue::{Claimed, Member};

use super::call::call;
use super::claim::{collect, drop_gone};
use super::connect::Transport;
use super::consumer;
use super::id::Columns;
use super::key::Key;
use super::page::row_count;

pub(super) async fn history(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Claimed, Error> {
    let key = Key::shared(stream);
    let member = member.clone();
    let after = Columns::at_most(after);
    let now = transport.clock.now().as_millis();
    call(
        &transport.relaxed,
        "read the history of a member of",
        key.clone(),
        move |db| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let Some(stream) = key.find(&transaction)? else {
                return Ok(Claimed::default());
            };
            let group = member.group.as_str();
            let held = {
                let mut select = transaction.prepare_cached(
                    "SELECT p.high AS high, p.low AS low, e.fields AS fields
                     FROM pending p LEFT JOIN entries e
                       ON e.stream_id = p.stream_id AND e.high = p.high AND e.low = p.low
                     WHERE p.stream_id = ?1 AND p.group_name = ?2 AND p.consumer = ?3
                       AND (p.high, p.low) > (?4, ?5)
                     ORDER BY p.high, p.low LIMIT ?6",
                )?;
                let mut rows = select.query((
                    stream.id,
                    group,
                    member.consumer.as_str(),
                    after.high,
                    after.low,
                    // One more tells whether to go on.
                    row_count(limit.count.saturating_add(1)),
                ))?;
                collect(&mut rows, after, limit)?
            };
            drop_gone(&transaction, stream.id, group, &held.gone)?;
            consumer::see(&transaction, stream.id, &member, now)?;
            transaction.commit()?;
            Ok(held)
        },
    )
    .await
}
