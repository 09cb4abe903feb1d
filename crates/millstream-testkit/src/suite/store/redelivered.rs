use std::collections::BTreeSet;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::ErrorKind;
use millstream_core::name::EventId;
use millstream_core::outbox::Outbox as _;
use millstream_core::store::{DeadLetter, DeadLetterQuery, Store};

use super::model::{Cut, drive};
use super::{Consumer, Source, TABLES, event, mappings, ready};
use crate::suite::Site;

/// A row is made, changed, removed, made again and changed.
fn life(source: &mut Source) -> Vec<Entry> {
    source.send_all([
        &event("person.set", "acme", "7", r#"{"name":"Ada","age":36}"#),
        &event("person.renamed", "acme", "7", r#"{"name":"Ada L."}"#),
        &event("person.left", "acme", "7", "{}"),
        &event("person.set", "acme", "7", r#"{"email":"a@x"}"#),
        &event("person.renamed", "acme", "7", r#"{"name":"Bob"}"#),
    ])
}

/// What the first so many events of [`life`] leave.
const STATES: [&[&str]; 5] = [
    &["acme|7|Ada|NULL|36"],
    &["acme|7|Ada L.|NULL|36"],
    &[],
    &["acme|7|NULL|a@x|NULL"],
    &["acme|7|Bob|a@x|NULL"],
];

/// All orders of some things.
fn permutations<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = things.split_first() else {
        return vec![Vec::new()];
    };
    permutations(rest)
        .into_iter()
        .flat_map(|order| {
            (0..=order.len()).map(move |place| {
                let mut order = order.clone();
                order.insert(place, first.clone());
                order
            })
        })
        .collect()
}

/// After each event, what was delivered so far comes again in every order, one by one or at once, and
/// twice; also under other entry ids.
pub async fn nothing_is_resurrected_by_what_comes_again<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let entries = life(&mut source);
    let mut again = 0;
    for (last, state) in STATES.iter().enumerate() {
        let fresh = consumer.settle(&entries[last..=last]).await;
        assert_eq!(fresh, "1 applied");
        for (number, mut order) in permutations(&entries[..=last]).into_iter().enumerate() {
            order.extend(order.clone());
            if number % 3 == 0 {
                // Published again, it is another entry.
                for entry in &mut order {
                    again += 1;
                    entry.id = EntryId::new(9, again);
                }
            }
            let size = [1, order.len()][number % 2];
            for batch in order.chunks(size) {
                let settled = consumer.settle(batch).await;
                assert_eq!(settled, format!("{} repeated", batch.len()));
            }
        }
        assert_eq!(site.rows("SELECT * FROM people").await, *state, "{last}");
    }
}

/// However much of it comes again, from wherever, and whatever the consumer has seen of it.
pub async fn a_new_generation_resurrects_nothing<S: Site>() {
    for size in [1, 2, 5] {
        for seen in 0..STATES.len() {
            let (site, mut source, mut consumer) = ready::<S>().await;
            let entries = life(&mut source);
            let cut = [Cut { size, repeat: 0 }];
            drive(&mut consumer, &entries[..=seen], &cut).await.unwrap();
            for from in 0..=seen {
                source.begin_generation();
                let again: Vec<_> = entries[from..=seen]
                    .iter()
                    .map(|entry| source.send_again(entry))
                    .collect();
                for batch in again.chunks(size) {
                    let settled = consumer.settle(batch).await;
                    assert_eq!(settled, format!("{} repeated", batch.len()));
                }
                let found = site.rows("SELECT * FROM people").await;
                assert_eq!(found, STATES[seen], "{seen}, from {from}");
            }
        }
    }
}

/// On an owned stream the checkpoint alone says what was applied: rows of the inbox may go.
pub async fn the_checkpoint_outlives_the_inbox<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("account.opened", "acme", "7", r#"{"balance":100}"#),
        &event("account.credited", "acme", "7", r#"{"amount":5}"#),
    ]);
    let batch = consumer.batch(&entries);
    consumer.apply(&entries).await.unwrap();
    site.execute("DELETE FROM millstream_inbox").await.unwrap();

    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!(consumer.at, batch.to, "nothing is read again");
    let error = consumer.apply_batch(&batch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["105"]);
}

/// Whatever it says: the first one counts, in one batch and later. The others are kept with the hashes of
/// both, each once, and hold up nobody.
pub async fn another_event_under_a_known_id_is_refused<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let forged = |event_type: &str, entity: &str, data: &str| {
        let mut forged = event(event_type, "acme", entity, data);
        forged.id = EventId::new("one").ok();
        forged
    };
    let entries = source.send_all([
        &forged("person.set", "7", r#"{"name":"Ada","age":36}"#),
        &forged("person.set", "7", r#"{"name":"Eve","age":36}"#),
        &forged("person.set", "8", r#"{"name":"Ada","age":36}"#),
        &forged("person.left", "7", r#"{"name":"Ada","age":36}"#),
        &event("person.renamed", "acme", "7", r#"{"name":"Ada L."}"#),
        // The first one, published again by somebody who writes it another way.
        &forged("person.set", "7", r#"{ "age": 36, "name": "\u0041da" }"#),
    ]);
    assert_eq!(consumer.settle(&entries[..2]).await, "1 applied, 1 dead");
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 applied, 2 dead, 3 repeated");
    assert_eq!(consumer.settle(&entries).await, "6 repeated");
    let found = site.rows("SELECT id, name FROM people").await;
    assert_eq!(found, ["7|Ada L."]);

    let letters = letters(&consumer).await;
    let hashes: BTreeSet<&str> = letters
        .iter()
        .map(|letter| {
            assert_eq!(letter.event_id.as_deref(), Some("one"));
            assert_eq!(letter.tenant.as_deref(), Some("acme"));
            assert_eq!(letter.key, None, "nothing waits behind it");
            let words = letter.reason.split(" the hash of its contents is ");
            let (by, own) = words.last().unwrap().split_once(", of these ").unwrap();
            assert_eq!((by.len(), own.len()), (16, 16), "{}", letter.reason);
            assert_ne!(by, own);
            own
        })
        .collect();
    assert_eq!(hashes.len(), 3, "each says something else");
    let tracked = "SELECT status, count(*) FROM event_tracking GROUP BY status ORDER BY status";
    assert_eq!(site.rows(tracked).await, ["failed|3", "processed|2"]);
}

async fn letters<H: Store>(consumer: &Consumer<H>) -> Vec<DeadLetter> {
    let query = DeadLetterQuery {
        limit: 100,
        ..DeadLetterQuery::default()
    };
    consumer.store.dead_letters(&query).await.unwrap()
}

/// Nobody knows what it said.
pub async fn what_came_before_contents_were_kept_is_a_repeat<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let one = source.send(&event("person.set", "acme", "7", r#"{"name":"Ada"}"#));
    consumer.settle(&[one]).await;
    let forget = "UPDATE millstream_inbox SET content_hash = NULL";
    site.execute(forget).await.unwrap();
    let mut other = event("person.set", "acme", "7", r#"{"name":"Eve"}"#);
    other.id = EventId::new("shared-1").ok();
    let other = source.send(&other);
    assert_eq!(consumer.settle(&[other]).await, "1 repeated");
}

/// An event of which a row is missing waits; meanwhile another one under its id is applied. What waits is
/// told from a repeat, and what waits behind it goes on.
pub async fn a_waiting_event_whose_id_is_taken_is_refused<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let renamed = |id: &str, entity: &str, name: &str| {
        let data = format!(r#"{{"name":"{name}"}}"#);
        let mut renamed = event("person.renamed", "acme", entity, &data);
        renamed.id = EventId::new(id).ok();
        renamed
    };
    let entries = source.send_all([
        &renamed("one", "7", "Ada"),
        &renamed("two", "7", "Bob"),
        &event("person.set", "acme", "8", r#"{"name":"Cid"}"#),
        &renamed("one", "8", "Dan"),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "2 applied, 1 retrying, 1 blocked");
    site.execute("INSERT INTO people (tenant_id, id, name) VALUES ('acme', '7', 'Eve')")
        .await
        .unwrap();
    assert_eq!(consumer.settle_again().await, "1 applied, 1 dead");
    assert_eq!(consumer.settle_again().await, "nothing");
    let found = site.rows("SELECT id, name FROM people ORDER BY id").await;
    assert_eq!(found, ["7|Bob", "8|Dan"]);
    assert_eq!(letters(&consumer).await[0].key, None);
}

/// Case, blanks, forms of one letter and odd characters make another event, here as at the source.
pub async fn event_ids_are_compared_byte_for_byte<S: Site>() {
    let ids = [
        "a",
        "A",
        "a ",
        "a  ",
        " a",
        "a\t",
        "a\u{a0}",
        "a\u{200b}",
        "a\u{7f}",
        "a\u{1}",
        "ä",
        "Ä",
        "a\u{308}",
        "ß",
        "ss",
        "ﬀ",
        "ff",
        "1",
        "01",
        "1.0",
        "١",
        "i",
        "ı",
        "İ",
        "I",
        "\u{feff}a",
        "\u{e9}",
        "e\u{301}",
        "\u{c5}",
        "\u{212b}",
        "🦀",
        "\u{10ffff}",
    ];
    let named = |id: &str, n: usize| {
        let mut named = event("person.set", "acme", id, &format!("{{\"age\":{n}}}"));
        named.id = EventId::new(id).ok();
        named
    };
    let events: Vec<_> = ids.iter().enumerate().map(|(n, id)| named(id, n)).collect();

    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mut source = Source::shared();
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let entries = source.send_all(&events);
    // The second half meets what is in the inbox, the first one its own batch.
    let (first, second) = entries.split_at(ids.len() / 2);
    for half in [first, second] {
        assert_eq!(
            consumer.settle(half).await,
            format!("{} applied", half.len())
        );
    }
    let again = consumer.settle(&entries).await;
    assert_eq!(again, format!("{} repeated", ids.len()));
    let mut found = site.rows("SELECT age, id FROM people").await;
    let mut expected: Vec<_> = (0..).zip(ids).map(|(n, id)| format!("{n}|{id}")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for id in ids {
        let id = EventId::new(id).unwrap();
        let outcome = consumer.store.outcome(&crate::app("crm"), &id).await;
        assert!(outcome.unwrap().is_some(), "{id:?}");
    }

    let outbox = &consumer.store;
    let inserted = outbox.insert(&crate::stream("events"), &events).await;
    assert_eq!(inserted.unwrap().added, ids.len() as u64);
}
