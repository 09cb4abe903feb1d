use std::sync::Arc;

use millstream_core::delivery::Outcome;
use millstream_core::entry::EntryId;
use millstream_core::lease::{Checkpoint, Leases};
use millstream_core::name::EventId;
use millstream_core::store::Store;

use super::{event, ready, ready_with};
use crate::suite::Site;

/// And another process sees both.
pub async fn rows_and_checkpoint_are_committed_together<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let set = event("person.set", "acme", "7", r#"{"name":"Ada","age":36}"#);
    let entries = source.send_all([&set, &set]);
    assert_eq!(consumer.settle(&entries).await, "2 applied");
    let found = site.rows("SELECT * FROM people").await;
    assert_eq!(found, ["acme|7|Ada|NULL|36"]);
    let expected = Checkpoint {
        at: EntryId::new(1, 2),
        event_id: EventId::new("crm-0-2").ok(),
    };
    let other = site.connect().await;
    let checkpoint = other.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint, Some(expected));
    let counts = other.counts().await.unwrap();
    assert_eq!((counts.get(Outcome::Applied), counts.total()), (2, 2));
}

/// Nothing else is written for what is meant for others.
pub async fn passed_over_entries_move_the_checkpoint<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let set = event("person.set", "acme", "7", "{}");
    let entries = source.send_all([&set, &set, &set]);
    let mut batch = consumer.batch(&entries);
    batch.deliveries = Arc::new([]);
    let applied = consumer.store.apply(&consumer.lease, &batch).await.unwrap();
    assert_eq!(super::shown(&applied), "nothing");
    let checkpoint = consumer.store.checkpoint(&consumer.lease).await.unwrap();
    assert_eq!(checkpoint.unwrap().at, EntryId::new(1, 3));
    assert_eq!(site.rows("SELECT * FROM event_tracking").await, [""; 0]);

    consumer.at = batch.to;
    let next = [source.send(&set)];
    assert_eq!(consumer.settle(&next).await, "1 applied");
}

/// It is settled all the same.
pub async fn what_is_not_mapped_is_skipped<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("weather.changed", "acme", "7", "{}"),
        &event("person.set", "acme", "7", "{}"),
    ]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 skipped");
    let tracked = "SELECT event_id, status, outcome FROM event_tracking ORDER BY event_id";
    let expected = ["crm-0-1|processed|skipped", "crm-0-2|processed|applied"];
    assert_eq!(site.rows(tracked).await, expected);
}

/// Who, what, from where, to whom, and how it ended.
pub async fn each_event_is_tracked<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let mut keyed = event("person.set", "acme", "8", "{}");
    keyed.timestamp = Some("2026-02-03T04:05:06Z".into());
    let entries = source.send_all([
        &keyed,
        &event("person.set", "acme", "7", r#"{"age":"old"}"#),
        &event("person.set", "acme", "7", "{}"),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 1 blocked, 1 dead");
    let tracked = "SELECT event_id, application, stream, event_type, tenant_id, entity_id,
                          source_application, target_application, status, outcome, published_at
                   FROM event_tracking ORDER BY event_id";
    let row = |id, entity, ending, at| {
        format!("crm-0-{id}|hr|events|person.set|acme|{entity}|crm|hr|{ending}|{at}")
    };
    let expected = [
        row(1, 8, "processed|applied", "2026-02-03T04:05:06Z"),
        row(2, 7, "failed|dead", "2026-01-01T00:00:00Z"),
        row(3, 7, "pending|blocked", "2026-01-01T00:00:00Z"),
    ];
    assert_eq!(site.rows(tracked).await, expected);
    let times = "SELECT DISTINCT received_at, applied_at FROM event_tracking
                 WHERE status = 'processed'";
    let now = "2026-01-01T00:00:00.000Z";
    assert_eq!(site.rows(times).await, [format!("{now}|{now}")]);
    let errors = "SELECT attempts, error FROM event_tracking WHERE status <> 'processed'
                  ORDER BY event_id";
    let errors = site.rows(errors).await;
    assert!(
        errors[0].starts_with("1|") && errors[0].contains("people.age"),
        "{errors:?}"
    );
    assert!(errors[1].starts_with("0|"), "{errors:?}");
}

/// Columns, keys, and nothing for what is not there.
pub async fn tables_are_described<S: Site>() {
    let site = S::make("").await;
    site.execute(super::TABLES).await.unwrap();
    let names: [Arc<str>; 2] = ["accounts".into(), "nowhere".into()];
    let tables = site.connect().await.tables(&names).await.unwrap();
    let accounts = tables[0].as_ref().unwrap();
    let columns: Vec<_> = accounts
        .columns
        .iter()
        .map(|column| format!("{} {:?}", column.name, column.kind))
        .collect();
    assert_eq!(columns, ["tenant_id Text", "id Text", "balance Integer"]);
    let unique: Vec<_> = accounts.unique.iter().map(|key| key.join(",")).collect();
    assert_eq!(unique, ["tenant_id,id"]);
    assert!(!accounts.related);
    assert_eq!(tables[1], None);
}

/// Our tables have other names then, and nothing else differs.
pub async fn a_store_with_a_prefix_works_the_same<S: Site>() {
    let (site, mut source, mut consumer) = ready_with::<S>("sync_").await;
    let mine = "CREATE TABLE dead_letters (mine INTEGER); CREATE TABLE event_tracking (x INTEGER)";
    site.execute(mine).await.unwrap();
    let entries = source.send_all([
        &event("person.set", "acme", "7", r#"{"age":"old"}"#),
        &event("person.set", "acme", "7", "{}"),
        &event("person.set", "acme", "8", "{}"),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 1 blocked, 1 dead");
    let tracked = "SELECT event_id, outcome FROM sync_event_tracking ORDER BY event_id";
    let expected = ["crm-0-1|dead", "crm-0-2|blocked", "crm-0-3|applied"];
    assert_eq!(site.rows(tracked).await, expected);
    assert_eq!(
        site.rows("SELECT count(*) FROM sync_dead_letters").await,
        ["2"]
    );
    assert_eq!(consumer.store.counts().await.unwrap().total(), 3);
}
