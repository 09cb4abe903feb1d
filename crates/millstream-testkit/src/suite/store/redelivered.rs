use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::ErrorKind;
use millstream_core::name::EventId;
use millstream_core::outbox::Outbox as _;
use millstream_core::store::Store as _;

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

/// Whatever it says: the first one counts, in one batch and later.
pub async fn another_event_under_a_known_id_has_no_effect<S: Site>() {
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
        &forged("person.set", "7", r#"{"name":"Ada"}"#),
        &forged("person.set", "7", r#"{"name":"Eve"}"#),
        &forged("person.set", "8", r#"{"name":"Eve"}"#),
        &forged("person.left", "7", "{}"),
    ]);
    assert_eq!(
        consumer.settle(&entries[..2]).await,
        "1 applied, 1 repeated"
    );
    assert_eq!(consumer.settle(&entries).await, "4 repeated");
    let found = site.rows("SELECT id, name FROM people").await;
    assert_eq!(found, ["7|Ada"]);
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
