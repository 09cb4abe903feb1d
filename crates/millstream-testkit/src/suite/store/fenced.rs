use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Checkpoint, Lease, Leases};
use millstream_core::name::EventId;
use millstream_core::store::{Batch, Store};

use super::{Consumer, Source, event, mappings, ready};
use crate::suite::Site;

/// Refused, and everything as it was.
async fn assert_fenced<S: Site>(site: &S, store: &S::Handle, lease: &Lease, batch: &Batch) {
    let queries = [
        "SELECT * FROM people ORDER BY 1, 2",
        "SELECT event_id, status, outcome FROM event_tracking ORDER BY 1",
        "SELECT * FROM millstream_shards ORDER BY id",
    ];
    let mut before = Vec::new();
    for query in queries {
        before.push(site.rows(query).await);
    }
    let error = store.apply(lease, batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    for (query, before) in queries.iter().zip(before) {
        assert_eq!(site.rows(query).await, before);
    }
}

/// A paused owner commits nothing once another has taken over, at whatever checkpoint.
pub async fn another_epoch_is_fenced<S: Site>() {
    let (site, mut source, mut first) = ready::<S>().await;
    let set = event("person.set", "acme", "7", r#"{"name":"Ada"}"#);
    let entries = source.send_all([&set, &set]);
    first.settle(&entries[..1]).await;
    let mut second = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!(second.at, first.at);

    let batch = first.batch(&entries[1..]);
    assert_fenced(&site, &first.store, &first.lease, &batch).await;
    // The right epoch in the wrong hands, and an epoch that is yet to come.
    let mut stolen = second.lease.clone();
    stolen.owner = crate::instance("thief");
    assert_fenced(&site, &first.store, &stolen, &batch).await;
    let mut early = second.lease.clone();
    early.epoch += 1;
    assert_fenced(&site, &second.store, &early, &batch).await;

    assert_eq!(second.settle(&entries[1..]).await, "1 applied");
    first
        .store
        .release(std::slice::from_ref(&second.lease))
        .await
        .unwrap();
    let third = source.send(&set);
    let batch = second.batch(&[third]);
    assert_fenced(&site, &second.store, &second.lease, &batch).await;
}

/// Behind, ahead, of another generation, or of the same number with another event.
pub async fn another_checkpoint_is_fenced<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let set = event("person.set", "acme", "7", r#"{"name":"Ada"}"#);
    let entries = source.send_all([&set, &set, &set]);
    consumer.settle(&entries[..2]).await;

    let good = consumer.batch(&entries[2..]);
    let id = |id: &str| EventId::new(id).ok();
    for (at, event_id) in [
        (EntryId::ZERO, None),
        (EntryId::new(1, 1), id("crm-0-1")),
        (EntryId::new(1, 3), id("crm-0-3")),
        (EntryId::new(2, 2), id("crm-0-2")),
        (EntryId::new(1, 2), id("another")),
        (EntryId::new(1, 2), None),
    ] {
        let bad = Batch {
            from: Checkpoint { at, event_id },
            ..good.clone()
        };
        assert_fenced(&site, &consumer.store, &consumer.lease, &bad).await;
    }
    assert_eq!(consumer.settle(&entries[2..]).await, "1 applied");
}

/// Whoever does not know whether a commit got through asks for the checkpoint.
pub async fn a_batch_that_is_applied_again_is_fenced<S: Site>() {
    let (site, mut source, consumer) = ready::<S>().await;
    let set = event("person.set", "acme", "7", r#"{"name":"Ada"}"#);
    let batch = consumer.batch(&[source.send(&set)]);
    consumer.store.apply(&consumer.lease, &batch).await.unwrap();
    site.execute("UPDATE people SET name = 'changed since'")
        .await
        .unwrap();
    assert_fenced(&site, &consumer.store, &consumer.lease, &batch).await;
    let checkpoint = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint, Some(batch.to));
}

/// What happens on one shard does not concern another.
pub async fn feeds_are_fenced_apart<S: Site>() {
    let (site, mut source, mut first) = ready::<S>().await;
    let mut other = Source::shard(1);
    let mut second = Consumer::start(site.connect().await, other.feed(), mappings()).await;
    let set = event("person.set", "acme", "7", r#"{"name":"Ada"}"#);
    for _ in 0..3 {
        assert_eq!(first.settle(&[source.send(&set)]).await, "1 applied");
        assert_eq!(second.settle(&[other.send(&set)]).await, "1 applied");
    }
    // Entries have the same ids in both.
    let found = site
        .rows("SELECT count(DISTINCT event_id) FROM event_tracking")
        .await;
    assert_eq!(found, ["6"]);
}
