use millstream_core::entry::{EntryId, Shard};
use millstream_core::outbox::{Outbox, OutboxRow};

use super::{SHARDS, all, event, insert, number, text, tops};
use crate::sample::stream;
use crate::suite::Site;

/// Fills the outbox with `count` events of ten keys of two tenants.
async fn fill<S: Site>(site: &S, count: usize) {
    let sql: Vec<_> = (0..count)
        .map(|n| {
            insert(
                ["acme", "globex"][n % 2],
                &(n % 10).to_string(),
                &format!("{{\"n\":{n}}}"),
            )
        })
        .collect();
    site.execute(&sql.concat()).await.unwrap();
}

/// Seqs of a shard count from 1, without a gap, and each row names the event before it.
fn assert_is_chain(rows: &[OutboxRow]) {
    let mut prev = None;
    for (seq, row) in (1..).zip(rows) {
        assert_eq!(row.at, EntryId::new(1, seq));
        assert_eq!(row.prev, prev, "{}", row.at);
        let shard = Shard::number_of(&row.tenant, &row.partition_key, SHARDS);
        assert_eq!(row.shard, shard);
        prev = Some(row.event_id.clone());
    }
}

/// Every row gets one, in the order in which they were written.
pub async fn numbers_are_dense_and_chained<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    fill(&site, 100).await;
    assert_eq!(outbox.unsent(&stream("events")).await.unwrap(), 100);
    let rows = number(&outbox, &mut tops(&outbox).await, 1_000).await;
    assert_eq!(outbox.unsent(&stream("events")).await.unwrap(), 0);

    assert_eq!(rows.len(), 100);
    for (n, row) in rows.iter().enumerate() {
        assert_eq!(text(&row.data), format!("{{\"n\":{n}}}"));
    }
    for shard in 0..SHARDS {
        let own: Vec<_> = rows
            .iter()
            .filter(|row| row.shard == shard)
            .cloned()
            .collect();
        assert!(!own.is_empty(), "the keys are spread");
        assert_is_chain(&own);
        assert_eq!(
            all(&outbox, shard).await,
            own,
            "what is read is what was numbered"
        );
    }
}

/// By another process, from the checkpoints that it finds.
pub async fn numbering_goes_on_where_it_stopped<S: Site>() {
    let site = S::make("").await;
    for round in 1..=3 {
        fill(&site, 30).await;
        let outbox = site.connect().await;
        let mut tops = tops(&outbox).await;
        assert_eq!(number(&outbox, &mut tops, 1_000).await.len(), 30);
        assert_eq!(number(&outbox, &mut tops, 1_000).await, []);
        let mut count = 0;
        for (lease, shard) in tops.iter().zip(0..) {
            let rows = all(&outbox, shard).await;
            assert_is_chain(&rows);
            let last = rows.last().unwrap();
            assert_eq!(lease.checkpoint.at, last.at);
            let id = lease.checkpoint.event_id.as_ref().unwrap();
            assert_eq!(id.as_str().as_bytes(), last.event_id);
            count += rows.len();
        }
        assert_eq!(count, 30 * round);
    }
}

/// The oldest come first.
pub async fn numbering_is_limited<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let mut tops = tops(&outbox).await;
    fill(&site, 25).await;
    let mut found = Vec::new();
    for expected in [10, 10, 5, 0] {
        let rows = number(&outbox, &mut tops, 10).await;
        assert_eq!(rows.len(), expected);
        found.extend(rows.iter().map(|row| text(&row.data).to_owned()));
    }
    let expected: Vec<_> = (0..25).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(found, expected);
}

/// What was written for another stream waits for its relay.
pub async fn streams_are_numbered_apart<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    fill(&site, 3).await;
    let other = stream("other");
    outbox
        .insert(&other, &[event("acme", "7", "{}")])
        .await
        .unwrap();
    let rows = number(&outbox, &mut tops(&outbox).await, 10).await;
    assert_eq!(rows.len(), 3);
    assert_eq!(outbox.unsent(&other).await.unwrap(), 1);
    assert_eq!(outbox.unsent(&stream("events")).await.unwrap(), 0);
    assert_eq!(outbox.unsent(&stream("nowhere")).await.unwrap(), 0);
}

/// Case, blanks, quotes, and every script.
pub async fn a_row_comes_back_byte_for_byte<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let names = ["a", "A", "a ", " a", "Łódź 🦀 名前", "O''Brien; --", "%_\\"];
    let data = r#"{"b" : 1.50, "a":"Ünï",  "b":"\u0041"}"#;
    let sql: Vec<_> = names.iter().map(|name| insert(name, name, data)).collect();
    site.execute(&sql.concat()).await.unwrap();
    let rows = number(&outbox, &mut tops(&outbox).await, 100).await;
    for (name, row) in names.iter().zip(&rows) {
        let name = name.replace("''", "'");
        assert_eq!((text(&row.tenant), text(&row.entity)), (&*name, &*name));
        assert_eq!(text(&row.data), data);
        assert_eq!(row.entity_version, 1, "no two ids are the same");
    }
    assert_eq!(rows.len(), names.len());
}

/// A key of another tenant is another key; an entity's key is its id, unless it says otherwise.
pub async fn versions_count_by_tenant_and_key<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let keyed = insert("acme", "9", "{}")
        .replace("event_data)", "event_data, partition_key)")
        .replace("'{}')", "'{}', '7')");
    for sql in [
        insert("acme", "7", "{}"),
        insert("globex", "7", "{}"),
        keyed,
        insert("acme", "9", "{}"),
        insert("acme", "7", "{}"),
    ] {
        site.execute(&sql).await.unwrap();
    }
    let rows = number(&outbox, &mut tops(&outbox).await, 100).await;
    let versions: Vec<_> = rows.iter().map(|row| row.entity_version).collect();
    assert_eq!(versions, [1, 1, 2, 1, 3]);
}
