use std::sync::Arc;

use proptest::prelude::*;

use millstream_core::clock::Timestamp;
use millstream_core::entry::Entry;
use millstream_core::error::ErrorKind;
use millstream_core::limits::CONFLICT_TRIES_MIN;
use millstream_core::name::EventId;
use millstream_core::store::{DeadLetterQuery, Store};

use super::plain::{Plain, steps};
use super::relations::ready_for_teams;
use super::{Consumer, Source, TABLES, event, mappings, ready, shown};
use crate::sample::shard;
use crate::suite::{Site, model};

const NEVER: Timestamp = Timestamp::from_millis(0);
const LATER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Its events are settled in their order, and nothing of them is left but the rows.
pub async fn a_child_waits_for_its_parent<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let player = |team, shirt| {
        let data = format!(r#"{{"team":"{team}","shirt":{shirt}}}"#);
        event("player.set", "acme", "7", &data)
    };
    let children = source.send_all([&player("red", 1), &player("blue", 2), &player("red", 3)]);
    let settled = consumer.settle(&children).await;
    assert_eq!(settled, "1 retrying, 2 blocked");
    assert_eq!(consumer.settle_again().await, "nothing");
    let attempts = "SELECT seq, outcome, attempts FROM dead_letters ORDER BY id";
    let expected = ["1|retrying|2", "2|blocked|0", "3|blocked|0"];
    assert_eq!(site.rows(attempts).await, expected);

    let red = source.send(&event("team.made", "acme", "red", "{}"));
    assert_eq!(consumer.settle(&[red]).await, "1 applied");
    assert_eq!(consumer.settle_again().await, "1 applied, 1 retrying");
    assert_eq!(
        site.rows("SELECT team, shirt FROM players").await,
        ["red|1"]
    );
    let expected = ["2|retrying|1", "3|blocked|0"];
    assert_eq!(site.rows(attempts).await, expected);

    let blue = source.send(&event("team.made", "acme", "blue", "{}"));
    assert_eq!(consumer.settle(&[blue]).await, "1 applied");
    assert_eq!(consumer.settle_again().await, "2 applied");
    assert_eq!(
        site.rows("SELECT team, shirt FROM players").await,
        ["red|3"]
    );
    assert_eq!(site.rows(attempts).await, [""; 0]);
    let tracked = "SELECT status, outcome, count(*) FROM event_tracking GROUP BY status, outcome";
    assert_eq!(site.rows(tracked).await, ["processed|applied|5"]);
    let inbox = "SELECT count(*) FROM millstream_inbox WHERE outcome = 'applied'";
    assert_eq!(site.rows(inbox).await, ["5"]);
    // What comes of its key is not held back any more.
    let next = source.send(&player("blue", 4));
    assert_eq!(consumer.settle(&[next]).await, "1 applied");
}

/// From row to row, when the one that takes it comes before the one that gives it.
pub async fn a_value_waits_until_it_is_free<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let player = |id, shirt| event("player.set", "acme", id, &format!(r#"{{"shirt":{shirt}}}"#));
    let entries = source.send_all([&player("a", 1), &player("b", 1), &player("a", 2)]);
    for entry in entries {
        consumer.settle(&[entry]).await;
    }
    let found = "SELECT id, shirt FROM players ORDER BY id";
    assert_eq!(site.rows(found).await, ["a|2"]);
    assert_eq!(consumer.settle_again().await, "1 applied");
    assert_eq!(site.rows(found).await, ["a|2", "b|1"]);
}

/// However many are tried at a time.
pub async fn what_is_blocked_follows_in_its_order<S: Site>() {
    for limit in [1, 2, 3, 100] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let renamed = |id: &str, name: usize| {
            event(
                "person.renamed",
                "acme",
                id,
                &format!(r#"{{"name":"{name}"}}"#),
            )
        };
        let events: Vec<_> = (0..12)
            .map(|n| renamed(["7", "8", "9"][n % 3], n))
            .collect();
        let entries = source.send_all(&events);
        let settled = consumer.settle(&entries).await;
        assert_eq!(settled, "3 retrying, 9 blocked");
        let made = source.send_all([
            &event("person.set", "acme", "7", "{}"),
            &event("person.set", "acme", "9", "{}"),
        ]);
        // They are of the same keys, and wait behind what waits for them; a person lends a hand.
        assert_eq!(consumer.settle(&made).await, "2 blocked");
        site.execute("INSERT INTO people (tenant_id, id) VALUES ('acme', '7'), ('acme', '9')")
            .await
            .unwrap();
        let again = consumer.try_again(limit, NEVER).await.unwrap();
        assert_eq!(shown(&again), "10 applied", "{limit} at a time");
        let found = site.rows("SELECT id, name FROM people ORDER BY id").await;
        assert_eq!(found, ["7|9", "9|11"], "{limit} at a time");
    }
}

/// And not before, nor by the clock alone; what stands behind it stays blocked.
pub async fn a_conflict_is_dead_after_its_deadline<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let player = event("player.set", "acme", "7", r#"{"team":"red"}"#);
    let entries = source.send_all([&player, &player]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 retrying, 1 blocked");
    let tries = CONFLICT_TRIES_MIN - 2;
    for _ in 0..tries {
        let again = consumer.try_again(10, LATER).await.unwrap();
        assert_eq!(shown(&again), "nothing");
    }
    let again = consumer.try_again(10, NEVER).await.unwrap();
    assert_eq!(shown(&again), "nothing", "enough tries, but time is left");
    let again = consumer.try_again(10, LATER).await.unwrap();
    assert_eq!(shown(&again), "1 dead");
    let dead = "SELECT status, outcome, attempts FROM event_tracking ORDER BY event_id";
    let expected = [
        format!("failed|dead|{}", tries + 3),
        "pending|blocked|0".into(),
    ];
    assert_eq!(site.rows(dead).await, expected);
    let (found, _) = consumer.store.exceptions(&shard(0), 10).await.unwrap();
    assert!(
        found[0].reason.to_lowercase().contains("foreign key"),
        "{found:?}"
    );

    // Nobody tries it any more, though its parent is there now.
    site.execute("INSERT INTO teams VALUES ('red')")
        .await
        .unwrap();
    assert_eq!(consumer.settle_again().await, "nothing");
    assert_eq!(site.rows("SELECT * FROM players").await, [""; 0]);
}

/// A blocked event may be bad itself: then it is what the rest stands behind.
pub async fn what_can_never_be_applied_is_dead_when_it_is_tried<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("person.renamed", "acme", "7", r#"{"name":"x"}"#),
        &event("person.set", "acme", "7", r#"{"age":"old"}"#),
        &event("person.set", "acme", "7", r#"{"age":7}"#),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 retrying, 2 blocked");
    site.execute("INSERT INTO people (tenant_id, id) VALUES ('acme', '7')")
        .await
        .unwrap();
    assert_eq!(consumer.settle_again().await, "1 applied, 1 dead");
    assert_eq!(consumer.settle_again().await, "nothing");
    let found = site.rows("SELECT name, age FROM people").await;
    assert_eq!(found, ["x|NULL"]);
}

/// By another instance, or by a person, between the look and the transaction.
pub async fn letters_that_are_gone_are_passed_over<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let credit = event("account.credited", "acme", "7", r#"{"amount":5}"#);
    let renamed = |name| {
        event(
            "person.renamed",
            "acme",
            "7",
            &format!(r#"{{"name":"{name}"}}"#),
        )
    };
    let entries = source.send_all([&renamed("a"), &renamed("b"), &credit]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "1 retrying, 2 blocked");
    let feed = source.feed();
    let letters = consumer.store.waiting(&feed, 0, 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    site.execute(
        "INSERT INTO people (tenant_id, id) VALUES ('acme', '7');
         INSERT INTO accounts VALUES ('acme', '7', 0)",
    )
    .await
    .unwrap();
    // Only the second, when the first is still there: it is not in its turn.
    let second = consumer.again(letters[1..2].to_vec(), NEVER);
    let applied = consumer.apply_batch(&second).await.unwrap();
    assert_eq!(shown(&applied), "nothing");

    let all = consumer.again(letters, NEVER);
    let applied = consumer.apply_batch(&all).await.unwrap();
    assert_eq!(shown(&applied), "3 applied");
    let applied = consumer.apply_batch(&all).await.unwrap();
    assert_eq!(shown(&applied), "nothing", "they are gone");
    assert_eq!(site.rows("SELECT name FROM people").await, ["b"]);
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["5"]);
}

/// A key is one, whichever feed its events came by.
pub async fn an_earlier_letter_of_another_feed_goes_first<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let mut shared = Source::shared();
    let store = site.connect().await;
    let mut second = Consumer::start(store, shared.feed(), mappings()).await;
    let renamed = |name| {
        event(
            "person.renamed",
            "acme",
            "7",
            &format!(r#"{{"name":"{name}"}}"#),
        )
    };
    assert_eq!(
        consumer.settle(&[source.send(&renamed("a"))]).await,
        "1 retrying"
    );
    assert_eq!(
        second.settle(&[shared.send(&renamed("b"))]).await,
        "1 blocked"
    );
    assert_eq!(
        consumer.settle(&[source.send(&renamed("c"))]).await,
        "1 blocked"
    );
    site.execute("INSERT INTO people (tenant_id, id) VALUES ('acme', '7')")
        .await
        .unwrap();
    assert_eq!(
        second.settle_again().await,
        "nothing",
        "the first is not its own"
    );
    assert_eq!(consumer.settle_again().await, "1 applied");
    assert_eq!(
        consumer.settle_again().await,
        "nothing",
        "the second is not its own"
    );
    assert_eq!(second.settle_again().await, "1 applied");
    assert_eq!(consumer.settle_again().await, "1 applied");
    assert_eq!(site.rows("SELECT name FROM people").await, ["c"]);
}

/// An event of the shared stream that came again while it was parked.
pub async fn an_event_that_is_parked_twice_has_one_effect<S: Site>() {
    let (site, _, _) = ready::<S>().await;
    for limit in [1, 10] {
        let mut source = Source::shared();
        let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
        let tenant = format!("t{limit}");
        let row = event("person.renamed", &tenant, "7", r#"{"name":"a"}"#);
        let mut credit = event("account.credited", &tenant, "7", r#"{"amount":5}"#);
        credit.id = EventId::new(format!("credit-{limit}")).ok();
        let entries = source.send_all([&row, &credit, &credit]);
        let settled = consumer.settle(&entries).await;
        assert_eq!(settled, "1 retrying, 2 blocked");
        site.execute(&format!(
            "INSERT INTO people (tenant_id, id) VALUES ('{tenant}', '7');
             INSERT INTO accounts VALUES ('{tenant}', '7', 0)"
        ))
        .await
        .unwrap();
        let again = consumer.try_again(limit, NEVER).await.unwrap();
        assert_eq!(shown(&again), "2 applied, 1 repeated", "{limit} at a time");
        let balance = format!("SELECT balance FROM accounts WHERE tenant_id = '{tenant}'");
        assert_eq!(site.rows(&balance).await, ["5"], "{limit} at a time");
        assert_eq!(site.rows("SELECT * FROM dead_letters").await, [""; 0]);
    }
}

/// Whoever lost the lease leaves parked events alone.
pub async fn another_epoch_tries_nothing_again<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let renamed = source.send(&event("person.renamed", "acme", "7", r#"{"name":"a"}"#));
    assert_eq!(consumer.settle(&[renamed]).await, "1 retrying");
    site.execute("INSERT INTO people (tenant_id, id) VALUES ('acme', '7')")
        .await
        .unwrap();
    let next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let error = consumer.try_again(10, NEVER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(next.settle_again().await, "1 applied");
}

/// Any events, some of which wait for others, in any batches and with tries in between of any size: what
/// one event after another, and a look at all that is parked now and then, would give.
pub fn what_is_tried_again_agrees_with_a_model<S: Site>() {
    let rounds = prop::collection::vec((steps(1..12), 1..6usize, any::<bool>()), 1..5);
    model::check_some(
        S::CASES,
        (rounds, any::<bool>()),
        async {},
        |(), _, (rounds, owned)| async move {
            let mut source = if owned {
                Source::shard(0)
            } else {
                Source::shared()
            };
            let site = S::make("").await;
            site.execute(TABLES).await.unwrap();
            let store = site.connect().await;
            let mut consumer = Consumer::start(store, source.feed(), mappings()).await;
            let (mut plain, mut all) = (Plain::default(), Vec::new());
            let mut entries: Vec<Entry> = Vec::new();
            for (steps, size, helped) in rounds {
                let sent: Arc<[Entry]> = steps.iter().map(|step| step.send(&mut source)).collect();
                for batch in sent.chunks(size) {
                    consumer.apply(batch).await.unwrap();
                }
                plain.go_on(&steps, owned);
                all.extend(steps);
                entries.extend(sent.iter().cloned());
                if helped {
                    site.execute(HELP).await.unwrap();
                    plain.help();
                }
                // All at once, since keys may share rows, and then their order shows.
                consumer.try_again(usize::MAX, NEVER).await.unwrap();
                plain.try_again(&all);
                prop_assert_eq!(Plain::rows_of(&site).await, plain.rows(&entries));
            }
            let query = DeadLetterQuery {
                limit: usize::MAX,
                ..DeadLetterQuery::default()
            };
            let parked = consumer.store.dead_letters(&query).await.unwrap();
            prop_assert_eq!(parked.len(), plain.parked_count());
            Ok(())
        },
    );
}

/// Rows that somebody else makes.
const HELP: &str = "
    INSERT INTO people (tenant_id, id)
    SELECT t.tenant, t.id FROM (SELECT 'acme' AS tenant, '7' AS id UNION ALL SELECT 'globex', 'a') t
    WHERE NOT EXISTS (SELECT 1 FROM people p WHERE p.tenant_id = t.tenant AND p.id = t.id)";
