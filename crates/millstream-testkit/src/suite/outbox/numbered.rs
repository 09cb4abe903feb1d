use millstream_core::entry::EntryId;
use millstream_core::outbox::Outbox;

use super::{all, insert, number, shard, tops};
use crate::suite::Site;

/// The shard of the key that these cases write, and its rows.
async fn filled<S: Site>(site: &S, outbox: &S::Handle, count: usize) -> u16 {
    let sql: Vec<_> = (0..count)
        .map(|n| insert("acme", "7", &format!("{{\"n\":{n}}}")))
        .collect();
    site.execute(&sql.concat()).await.unwrap();
    number(outbox, &mut tops(outbox).await, count).await[0].shard
}

/// From 0, from the middle, from the end, from beyond it, with what stands before as `prev`.
pub async fn numbered_rows_are_read_from_any_position<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let own = filled(&site, &outbox, 10).await;
    let rows = all(&outbox, own).await;
    for after in 0..12 {
        let at = EntryId::new(1, after);
        let found = outbox.numbered(&shard(own), at, 100).await.unwrap();
        let from = usize::try_from(after).unwrap().min(10);
        assert_eq!(found, rows[from..], "after {after}");

        let checkpoint = outbox.checkpoint_at(&shard(own), at).await.unwrap();
        let event = usize::try_from(after).unwrap().checked_sub(1);
        let event = event.and_then(|index| rows.get(index));
        assert_eq!(checkpoint.is_some(), event.is_some(), "at {after}");
        if let (Some(checkpoint), Some(row)) = (checkpoint, event) {
            assert_eq!(checkpoint.at, row.at);
            let id = checkpoint.event_id.unwrap();
            assert_eq!(id.as_str().as_bytes(), row.event_id);
        }
    }
    let other = outbox
        .numbered(&shard((own + 1) % 3), EntryId::ZERO, 100)
        .await;
    assert_eq!(other.unwrap(), []);
    let next = outbox.numbered(&shard(own), EntryId::new(2, 0), 100).await;
    assert_eq!(next.unwrap(), [], "a later generation");
}

/// By count, and by bytes where the rows are large; the first one always comes.
pub async fn numbered_rows_are_limited<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let own = filled(&site, &outbox, 10).await;
    let mut found = Vec::new();
    loop {
        let after = found.last().map_or(EntryId::ZERO, |id: &EntryId| *id);
        let rows = outbox.numbered(&shard(own), after, 3).await.unwrap();
        assert!(rows.len() <= 3);
        if rows.is_empty() {
            break;
        }
        found.extend(rows.iter().map(|row| row.at));
    }
    let expected: Vec<_> = (1..=10).map(|seq| EntryId::new(1, seq)).collect();
    assert_eq!(found, expected);
}
