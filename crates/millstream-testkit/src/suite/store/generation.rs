use millstream_core::entry::{EntryId, Shard};
use millstream_core::lease::Feed;
use millstream_core::name::EventId;
use millstream_core::outbox::NewEvent;
use millstream_core::store::{DeadLetterQuery, Store};

use super::{Consumer, Source, event, mappings, ready};
use crate::sample::{app, shard};
use crate::suite::Site;

const OPEN: &str = r#"{"balance":100}"#;
const CREDIT: &str = r#"{"amount":5}"#;
const BAD: &str = r#"{"age":"old"}"#;

fn named(id: &str, mut event: NewEvent) -> NewEvent {
    event.id = EventId::new(id).ok();
    event
}

/// What came before comes once more, and has its effect once; what is new has its own.
pub async fn a_new_generation_applies_nothing_twice<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let credit = event("account.credited", "acme", "7", CREDIT);
    let first = source.send_all([
        &event("account.opened", "acme", "7", OPEN),
        &credit,
        &event("weather.changed", "acme", "7", "{}"),
    ]);
    assert_eq!(consumer.settle(&first).await, "2 applied, 1 skipped");

    source.begin_generation();
    let mut second: Vec<_> = first.iter().map(|entry| source.send_again(entry)).collect();
    second.push(source.send(&credit));
    assert_eq!(consumer.settle(&second).await, "1 applied, 3 repeated");
    source.begin_generation();
    let third: Vec<_> = second
        .iter()
        .map(|entry| source.send_again(entry))
        .collect();
    assert_eq!(consumer.settle(&third).await, "4 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["110"]);
    let tracked = "SELECT count(*), count(DISTINCT event_id) FROM event_tracking";
    assert_eq!(site.rows(tracked).await, ["4|4"]);
    assert_eq!(consumer.at.at, EntryId::new(3, 4));
}

/// In the first one the checkpoint alone tells what is a repeat, and nothing is looked up.
pub async fn the_first_generation_goes_by_the_checkpoint<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let credit = named("same", event("account.credited", "acme", "7", CREDIT));
    let entries = source.send_all([
        &event("account.opened", "acme", "7", OPEN),
        &credit,
        &credit,
    ]);
    assert_eq!(consumer.settle(&entries).await, "3 applied");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["110"]);
}

/// A batch may hold the end of one generation and the beginning of the next.
pub async fn a_batch_across_generations_applies_nothing_twice<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let mut entries = source.send_all([
        &event("account.opened", "acme", "7", OPEN),
        &event("account.credited", "acme", "7", CREDIT),
        &event("person.set", "acme", "8", BAD),
        &event("person.set", "acme", "8", "{}"),
    ]);
    source.begin_generation();
    for n in 0..4 {
        let again = source.send_again(&entries[n]);
        entries.push(again);
    }
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "2 applied, 1 blocked, 1 dead, 4 repeated");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["105"]);
    assert_eq!(places(&consumer).await, ["2-3 dead", "2-4 blocked"]);
}

/// Where what is parked stands, as the publisher hears of it.
async fn places<H: Store>(consumer: &Consumer<H>) -> Vec<String> {
    let (exceptions, count) = consumer.store.exceptions(&shard(0), 100).await.unwrap();
    assert_eq!(exceptions.len() as u64, count);
    exceptions
        .iter()
        .map(|exception| format!("{} {}", exception.at, exception.outcome.as_str()))
        .collect()
}

/// It is neither applied behind the back of its key nor parked a second time; it takes the place by
/// which its publisher knows it from now on.
pub async fn a_parked_event_that_comes_again_stays_parked<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let first = source.send_all([
        &event("person.set", "acme", "7", BAD),
        &event("person.set", "acme", "7", r#"{"age":1}"#),
        &event("person.set", "acme", "8", r#"{"age":2}"#),
        &event("person.set", "acme", "9", BAD),
    ]);
    let settled = consumer.settle(&first).await;
    assert_eq!(settled, "1 applied, 1 blocked, 2 dead");

    source.begin_generation();
    // The second one only, and what is new behind it.
    let mut second: Vec<_> = [&first[2], &first[0], &first[1]]
        .into_iter()
        .map(|entry| source.send_again(entry))
        .collect();
    second.push(source.send(&event("person.set", "acme", "7", r#"{"age":3}"#)));
    assert_eq!(consumer.settle(&second).await, "1 blocked, 3 repeated");
    let expected = ["1-4 dead", "2-2 dead", "2-3 blocked", "2-4 blocked"];
    assert_eq!(places(&consumer).await, expected);

    let query = DeadLetterQuery {
        limit: 100,
        ..DeadLetterQuery::default()
    };
    let letters = consumer.store.dead_letters(&query).await.unwrap();
    let raw: Vec<_> = letters.iter().map(|letter| &letter.raw).collect();
    let expected = [
        &second[1].fields,
        &second[2].fields,
        &first[3].fields,
        &second[3].fields,
    ];
    assert_eq!(raw, expected, "the bytes are those of the place");
    let tracked = "SELECT event_id, outcome FROM event_tracking ORDER BY event_id";
    let expected = [
        "crm-0-1|dead",
        "crm-0-2|blocked",
        "crm-0-2.4|blocked",
        "crm-0-3|applied",
        "crm-0-4|dead",
    ];
    assert_eq!(site.rows(tracked).await, expected);
    assert_eq!(site.rows("SELECT id FROM people").await, ["8"]);
}

/// Also if nobody can read it, as far as its id and tenant can be.
pub async fn an_undecodable_entry_that_comes_again_is_parked_once<S: Site>() {
    let (_site, mut source, mut consumer) = ready::<S>().await;
    let first = [
        source.send_broken(None),
        source.send_broken(Some(("acme", "7"))),
    ];
    assert_eq!(consumer.settle(&first).await, "2 dead");
    source.begin_generation();
    let again = first.each_ref().map(|entry| source.send_again(entry));
    assert_eq!(consumer.settle(&again).await, "2 repeated");
    assert_eq!(places(&consumer).await, ["2-1 dead", "2-2 dead"]);
}

/// An id is its tenant's and its source's own.
pub async fn an_id_of_another_tenant_or_source_is_no_repeat<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let of = |tenant| named("same", event("person.set", tenant, "7", "{}"));
    consumer.settle(&[source.send(&of("acme"))]).await;
    source.begin_generation();
    let entries = source.send_all([&of("globex"), &of("acme"), &of("globex")]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 2 repeated");

    let mut other = Source::of(Feed::Owned(Shard {
        owner: app("billing"),
        ..shard(0)
    }));
    let store = site.connect().await;
    let mut consumer = Consumer::start(store, other.feed(), mappings()).await;
    other.begin_generation();
    other.begin_generation();
    let entries = other.send_all([&of("initech"), &of("acme")]);
    assert_eq!(consumer.settle(&entries).await, "2 applied");
}
