use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_core::mapping::Spec;

use super::{Consumer, Source, event, ready, spec};
use crate::suite::Site;

const TEAMS: &str = "
    CREATE TABLE teams (id VARCHAR(64) NOT NULL PRIMARY KEY);
    CREATE TABLE players (
      id VARCHAR(64) NOT NULL PRIMARY KEY, team VARCHAR(64), shirt INTEGER UNIQUE,
      FOREIGN KEY (team) REFERENCES teams (id)
    );";

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    let data = ["team = data.team", "shirt = data.shirt"];
    vec![
        spec("team.made", Op::Upsert, "teams", &id, &[]),
        spec("team.ended", Op::Delete, "teams", &id, &[]),
        spec("player.set", Op::Upsert, "players", &id, &data),
        spec("player.left", Op::Delete, "players", &id, &[]),
    ]
}

pub(super) async fn ready_for_teams<S: Site>() -> (S, Source, Consumer<S::Handle>) {
    let site = S::make("").await;
    site.execute(TEAMS).await.unwrap();
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}

/// Rows of several tables are written in the order of their events.
pub async fn a_row_that_refers_to_another_follows_it<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let entries = source.send_all([
        &event("team.made", "acme", "red", "{}"),
        &event("player.set", "acme", "7", r#"{"team":"red"}"#),
        &event("team.made", "acme", "blue", "{}"),
        &event("player.set", "acme", "7", r#"{"team":"blue"}"#),
        &event("team.ended", "acme", "red", "{}"),
        &event("player.left", "acme", "7", "{}"),
        &event("team.ended", "acme", "blue", "{}"),
        &event("team.made", "acme", "red", "{}"),
        &event("player.set", "acme", "8", r#"{"team":"red"}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "9 applied");
    assert_eq!(site.rows("SELECT id, team FROM players").await, ["8|red"]);
    assert_eq!(site.rows("SELECT id FROM teams").await, ["red"]);
}

/// That one, and no other.
pub async fn a_missing_reference_parks_the_event<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let entries = source.send_all([
        &event("team.made", "acme", "red", "{}"),
        &event("player.set", "acme", "7", r#"{"team":"red"}"#),
        &event("player.set", "acme", "8", r#"{"team":"green"}"#),
        &event("team.ended", "acme", "red", "{}"),
        &event("player.set", "acme", "9", r#"{"team":null}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "3 applied, 2 retrying");
    let found = site.rows("SELECT id, team FROM players ORDER BY id").await;
    assert_eq!(found, ["7|red", "9|NULL"]);
}

/// From row to row within one batch, in any order that works one by one.
pub async fn unique_values_change_hands<S: Site>() {
    for size in [1, 2, 3, 6] {
        let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
        let shirt = |player, shirt| {
            event(
                "player.set",
                "acme",
                player,
                &format!("{{\"shirt\":{shirt}}}"),
            )
        };
        let entries = source.send_all([
            &shirt("a", "1"),
            &shirt("b", "2"),
            &shirt("a", "3"),
            &shirt("b", "1"),
            &shirt("a", "2"),
            &shirt("c", "3"),
        ]);
        for batch in entries.chunks(size) {
            assert_eq!(
                consumer.settle(batch).await,
                format!("{} applied", batch.len())
            );
        }
        let found = site.rows("SELECT id, shirt FROM players ORDER BY id").await;
        assert_eq!(found, ["a|2", "b|1", "c|3"], "{size} in a batch");
    }
}

/// That one, and no other; rows that have no such value are not in its way.
pub async fn a_unique_value_that_is_taken_parks_the_event<S: Site>() {
    let (site, mut source, mut consumer) = ready_for_teams::<S>().await;
    let shirt = |player, shirt| {
        event(
            "player.set",
            "acme",
            player,
            &format!("{{\"shirt\":{shirt}}}"),
        )
    };
    let entries = source.send_all([
        &shirt("a", "1"),
        &shirt("b", "1"),
        &shirt("c", "null"),
        &shirt("d", "null"),
        &shirt("b", "2"),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "3 applied, 1 retrying, 1 blocked");
    let found = site.rows("SELECT id, shirt FROM players ORDER BY id").await;
    assert_eq!(found, ["a|1", "c|NULL", "d|NULL"]);
}

/// Nothing is settled, and nothing is blamed on the event.
pub async fn a_missing_table_is_misconfigured<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("account.opened", "acme", "7", r#"{"balance":1}"#),
        &event("person.set", "acme", "7", r#"{"name":"Ada"}"#),
    ]);
    site.execute("ALTER TABLE people RENAME TO persons")
        .await
        .unwrap();
    let error = consumer.apply(&entries).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains("people"), "{error}");
    assert_eq!(site.rows("SELECT * FROM event_tracking").await, [""; 0]);
    assert_eq!(site.rows("SELECT * FROM accounts").await, [""; 0]);

    site.execute("ALTER TABLE persons RENAME TO people")
        .await
        .unwrap();
    assert_eq!(consumer.settle(&entries).await, "2 applied");
}
