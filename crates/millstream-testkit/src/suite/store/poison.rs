use millstream_core::delivery::Outcome;
use millstream_core::entry::Entry;
use millstream_core::store::{DeadLetterQuery, Store};

use super::{Consumer, Source, event, mappings, ready};
use crate::suite::Site;

const EVENTS: u64 = 100;
const KEYS: u64 = 10;

/// An event that cannot be applied, of each sort in turn, for the key `k`.
fn bad(source: &mut Source, sort: u64, tenant: &str, k: &str) -> Entry {
    match sort % 4 {
        0 => source.send(&event("person.set", tenant, k, r#"{"age":"old"}"#)),
        1 => source.send(&event("handler.conflicts", tenant, k, "{}")),
        2 => source.send_broken(Some((tenant, k))),
        _ => source.send(&event("account.credited", tenant, k, r#"{"amount":1}"#)),
    }
}

/// Whether the bad event of this sort may be applied later.
fn conflicts(sort: u64) -> bool {
    sort % 4 == 1
}

/// At every position of a batch of a hundred: it is dead or retrying with its bytes, what comes later of its
/// key is blocked, and everything else is applied.
pub async fn one_bad_event_spoils_no_other<S: Site>() {
    let (site, _, _) = ready::<S>().await;
    for position in 1..=EVENTS {
        let mut source = Source::shard(u16::try_from(position).unwrap());
        let tenant = format!("t{position}");
        let entries: Vec<Entry> = (1..=EVENTS)
            .map(|n| {
                let key = (n % KEYS).to_string();
                if n == position {
                    return bad(&mut source, n, &tenant, &key);
                }
                let data = format!("{{\"age\":{n}}}");
                source.send(&event("person.set", &tenant, &key, &data))
            })
            .collect();
        let store = site.connect().await;
        let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
        consumer
            .apply(&entries)
            .await
            .expect("the batch is applied");

        let is_blocked = |n: u64| n > position && n % KEYS == position % KEYS;
        let expected: Vec<_> = (1..=EVENTS)
            .map(|n| match n {
                n if n == position && conflicts(n) => format!("{n}|pending|retrying"),
                n if n == position => format!("{n}|failed|dead"),
                n if is_blocked(n) => format!("{n}|pending|blocked"),
                n => format!("{n}|processed|applied"),
            })
            .collect();
        let tracked = site
            .rows(&format!(
                "SELECT i.seq, t.status, t.outcome FROM event_tracking t
                 JOIN millstream_inbox i ON i.event_id = t.event_id
                 WHERE t.event_id LIKE 'crm-{position}-%' ORDER BY i.seq"
            ))
            .await;
        assert_eq!(tracked, expected, "bad at {position}");

        let ages = format!("SELECT id, age FROM people WHERE tenant_id = '{tenant}' ORDER BY id");
        let expected: Vec<_> = (0..KEYS)
            .filter_map(|key| {
                let applied = |&n: &u64| n % KEYS == key && n != position && !is_blocked(n);
                let last = (1..=EVENTS).rfind(applied)?;
                Some(format!("{key}|{last}"))
            })
            .collect();
        assert_eq!(site.rows(&ages).await, expected, "bad at {position}");
        assert_parked(&consumer.store, &source, &entries, position).await;
    }
    assert_eq!(site.rows("SELECT * FROM effects").await, [""; 0]);
}

/// Exactly the bad one and those behind it, with the bytes that were read.
async fn assert_parked(store: &impl Store, source: &Source, entries: &[Entry], position: u64) {
    let query = DeadLetterQuery {
        limit: usize::MAX,
        ..DeadLetterQuery::default()
    };
    let mut parked = store.dead_letters(&query).await.unwrap();
    parked.retain(|letter| letter.feed == source.feed());
    let expected: Vec<_> = entries
        .iter()
        .filter(|e| e.id.low >= position && e.id.low % KEYS == position % KEYS)
        .collect();
    assert_eq!(parked.len(), expected.len());
    for (letter, entry) in parked.iter().zip(expected) {
        assert_eq!(letter.entry, entry.id);
        assert_eq!(letter.raw, entry.fields, "every byte is kept");
        let failed = letter.entry.low == position;
        let outcome = match failed {
            true if conflicts(position) => Outcome::Retrying,
            true => Outcome::Dead,
            false => Outcome::Blocked,
        };
        assert_eq!(
            (letter.outcome, letter.attempts),
            (outcome, u32::from(failed))
        );
        assert!(!letter.reason.is_empty());
    }
}

/// Not even when most of a batch is bad.
pub async fn a_hundred_bad_events_spoil_no_other<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries: Vec<Entry> = (1..=EVENTS)
        .map(|n| {
            if n % 3 == 0 {
                let good = event("person.set", "acme", &format!("good{n}"), "{}");
                return source.send(&good);
            }
            bad(&mut source, n, "acme", &format!("bad{n}"))
        })
        .collect();
    assert_eq!(
        consumer.settle(&entries).await,
        "33 applied, 17 retrying, 50 dead"
    );
    assert_eq!(site.rows("SELECT count(*) FROM people").await, ["33"]);
}
