use millstream_core::entry::EntryId;
use millstream_core::error::ErrorKind;
use millstream_core::lease::{Feed, Lease};
use millstream_core::name::EventId;

use super::{Consumer, Source, TABLES, event, mappings};
use crate::sample::{app, entry_at, instance};
use crate::suite::Site;

async fn ready<S: Site>() -> (S, Source, Consumer<S::Handle>) {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let source = Source::shared();
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}

const CREDIT: &str = r#"{"amount":5}"#;

/// Delivered again, or published again under another entry id, in one batch or later.
pub async fn a_repeated_event_changes_nothing<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let mut entries = source.send_all([
        &event("account.opened", "acme", "7", r#"{"balance":100}"#),
        &event("account.credited", "acme", "7", CREDIT),
    ]);
    let mut again = event("account.credited", "acme", "7", CREDIT);
    again.id = EventId::new("shared-2").ok();
    entries.push(source.send(&again));
    assert_eq!(consumer.settle(&entries).await, "2 applied, 1 repeated");
    assert_eq!(consumer.settle(&entries).await, "3 repeated");
    let later = [source.send(&again), source.send_broken(None)];
    assert_eq!(consumer.settle(&later).await, "1 dead, 1 repeated");
    assert_eq!(consumer.settle(&later).await, "2 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["105"]);
    let tracked = "SELECT count(*), count(DISTINCT event_id) FROM event_tracking";
    assert_eq!(site.rows(tracked).await, ["3|3"]);
}

/// The queue may hand it out and let it be claimed at once.
pub async fn an_entry_twice_in_a_batch_is_applied_once<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let opened = source.send(&event("account.opened", "acme", "7", r#"{"balance":100}"#));
    let credited = source.send(&event("account.credited", "acme", "7", CREDIT));
    let broken = source.send_broken(None);
    let entries = [
        opened.clone(),
        opened,
        credited.clone(),
        broken.clone(),
        credited,
        broken,
    ];
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "2 applied, 1 dead, 3 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["105"]);
}

/// A server that failed over may give an entry id again. What it says then is another event, in one
/// batch with the first or later, and is found again as well as the first.
pub async fn another_event_under_the_same_entry_id_is_applied<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let opened = source.send(&event("account.opened", "acme", "7", r#"{"balance":100}"#));
    consumer.settle(std::slice::from_ref(&opened)).await;
    let mut entries = source.send_all([
        &event("account.credited", "acme", "7", CREDIT),
        &event("account.credited", "acme", "7", r#"{"amount":20}"#),
        &event("account.credited", "acme", "7", r#"{"amount":300}"#),
    ]);
    for entry in &mut entries[..2] {
        entry.id = opened.id;
    }
    assert_eq!(consumer.settle(&entries[..1]).await, "1 applied");
    assert_eq!(consumer.settle(&entries).await, "2 applied, 1 repeated");
    entries[2].id = opened.id;
    entries.push(opened);
    assert_eq!(consumer.settle(&entries).await, "4 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["425"]);
    let tracked = "SELECT count(*), count(DISTINCT event_id) FROM event_tracking";
    assert_eq!(site.rows(tracked).await, ["4|4"]);
}

/// Also where the events cannot be applied: each is kept, once.
pub async fn another_dead_event_under_the_same_entry_id_is_kept<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let dead = event("person.set", "acme", "7", r#"{"age":"old"}"#);
    let mut entries = vec![
        source.send(&event("person.set", "acme", "8", "{}")),
        source.send(&dead),
        source.send_broken(None),
        source.send_broken(Some(("acme", "9"))),
    ];
    for entry in &mut entries {
        entry.id = EntryId::new(1_700_000_000_000, 0);
    }
    assert_eq!(consumer.settle(&entries[..2]).await, "1 applied, 1 dead");
    assert_eq!(consumer.settle(&entries).await, "2 dead, 2 repeated");
    assert_eq!(consumer.settle(&entries).await, "4 repeated");
    let letters = "SELECT count(*), count(DISTINCT raw) FROM dead_letters";
    assert_eq!(site.rows(letters).await, ["3|3"]);
    let tracked = "SELECT status, count(*) FROM event_tracking GROUP BY status ORDER BY status";
    assert_eq!(site.rows(tracked).await, ["failed|3", "processed|1"]);
}

/// Ids are only unique within their source.
pub async fn the_same_id_of_another_source_is_another_event<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let opened = event("account.opened", "acme", "7", r#"{"balance":100}"#);
    consumer.settle(&[source.send(&opened)]).await;
    let mut events = Vec::new();
    for name in ["crm", "billing", "crm", "billing"] {
        let mut credit = event("account.credited", "acme", "7", CREDIT);
        credit.id = EventId::new("same").ok();
        credit.source = Some(app(name));
        events.push(credit);
    }
    let entries = source.send_all(&events);
    assert_eq!(consumer.settle(&entries).await, "2 applied, 2 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["110"]);
    let tracked = "SELECT source_application FROM event_tracking WHERE event_id = 'same'
                   ORDER BY source_application";
    assert_eq!(site.rows(tracked).await, ["billing", "crm"]);
}

/// What was claimed is older than what was read.
pub async fn the_shared_stream_is_applied_in_any_order<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let events: Vec<_> = (1..=6)
        .map(|n| event("person.set", "acme", &n.to_string(), "{}"))
        .collect();
    let entries = source.send_all(&events);
    for batch in [&entries[4..], &entries[..2], &entries[1..5]] {
        consumer.apply(batch).await.expect("it is where it was");
    }
    assert_eq!(site.rows("SELECT count(*) FROM people").await, ["6"]);
    assert_eq!(
        site.rows("SELECT count(*) FROM event_tracking").await,
        ["6"]
    );
}

/// Whoever holds a shared stream alone notices that its database is not where it was left. Those that
/// compete for it cannot.
pub async fn a_shared_stream_that_moved_is_fenced<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let events = ["6", "7"].map(|key| event("person.set", "acme", key, "{}"));
    let [first, second] = events.map(|event| source.send(&event));
    assert_eq!(consumer.settle(&[first]).await, "1 applied");
    let mut batch = consumer.batch(&[second]);
    batch.from.at = EntryId::new(9, 9);
    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(site.rows("SELECT count(*) FROM people").await, ["1"]);
    let Feed::Shared(stream) = source.feed() else {
        unreachable!("it is shared")
    };
    consumer.lease = Lease::shared_out(stream, instance("consumer"));
    consumer
        .apply_batch(&batch)
        .await
        .expect("it is one of many");
}

/// Another one has taken it.
pub async fn a_lost_shared_stream_is_fenced<S: Site>() {
    let (site, mut source, mut first) = ready::<S>().await;
    let mut second = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let entries = [source.send(&event("person.set", "acme", "7", "{}"))];
    let error = first.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(site.rows("SELECT * FROM people").await, [""; 0]);
    assert_eq!(second.settle(&entries).await, "1 applied");
}

/// A dead event of one source holds back what that source says later, and no other's.
pub async fn a_key_of_the_shared_stream_blocks_by_source<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let from = |name: &str, data: &str| {
        let mut set = event("person.set", "acme", "7", data);
        set.source = Some(app(name));
        set
    };
    let entries = source.send_all([
        &from("crm", r#"{"age":"old"}"#),
        &from("crm", r#"{"age":1}"#),
        &from("billing", r#"{"age":2}"#),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 1 blocked, 1 dead");
    // What is published again after it died may have been mended: it waits in its turn.
    let again = [entry_at(EntryId::new(7, 7), entries[0].fields.clone())];
    assert_eq!(consumer.settle(&again).await, "1 blocked");
    let more = source.send_all([&from("crm", "{}"), &from("billing", "{}")]);
    assert_eq!(consumer.settle(&more).await, "1 applied, 1 blocked");
    assert_eq!(site.rows("SELECT age FROM people").await, ["2"]);
}

/// An id is its source's and its tenant's own, and one that died without a key does not use it up.
pub async fn equal_ids_of_two_tenants_are_two_events<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let of = |tenant: &str, data: &str| {
        let mut set = event("person.set", tenant, "7", data);
        set.source = Some(app("crm"));
        set.id = Some(millstream_core::name::EventId::new("one").unwrap());
        set
    };
    let entries = source.send_all([&of("acme", r#"{"age":1}"#), &of("globex", r#"{"age":2}"#)]);
    assert_eq!(consumer.settle(&entries).await, "2 applied");
    let again = source.send_all([&of("acme", r#"{"age":1}"#), &of("acme", r#"{"age":1}"#)]);
    assert_eq!(consumer.settle(&again).await, "2 repeated");
    let found = site
        .rows("SELECT tenant_id, age FROM people ORDER BY 1")
        .await;
    assert_eq!(found, ["acme|1", "globex|2"]);
}
