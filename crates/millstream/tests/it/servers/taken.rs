//! What a mapping needs is taken away from under a consumer that runs: its feed pauses and says why, others
//! go on, nothing is parked, and it goes on by itself.

use anyhow::Result;
use millstream::NewEvent;
use millstream::core::delivery::Outcome;
use millstream::core::entry::Shard;
use millstream::core::lease::Feed;
use millstream::core::name::EventType;
use millstream::engine::status::State;

use super::place::{EMPLOYEES, Place};
use crate::site::{consume, raw_event, relay, shard};

const ANN: &str = "1";

fn ann(id: &str, name: &str, salary: u32) -> NewEvent {
    raw_event(
        id,
        ANN,
        &format!(r#"{{"name":"{name}","salary":{salary}}}"#),
    )
}

/// Of an office whose events are in another shard than Ann's.
fn office(id: &str) -> NewEvent {
    let number = |entity: &str| Shard::number_of(b"acme", entity.as_bytes(), 2);
    let mut entities = (2..).map(|entity: u32| entity.to_string());
    let entity = entities.find(|entity| number(entity) != number(ANN));
    let mut event = raw_event(id, &entity.unwrap(), &format!(r#"{{"name":"{id}"}}"#));
    event.event_type = EventType::new("office.opened").unwrap();
    event
}

/// Takes it away and gives it back, on each server; the reason has all of these words.
async fn check(take: &str, give: &[&str], words: &[&str]) -> Result<()> {
    let feed = Feed::Owned(shard(Shard::number_of(b"acme", ANN.as_bytes(), 2)));
    for Place { server, site, hr } in Box::pin(Place::each("")).await? {
        let relay = relay(&site.crm, &site.transport);
        let consumer = consume(&hr, &site.transport);
        site.publish(&[ann("a", "Ann", 1), office("b")]).await?;
        consumer
            .until(|status| status.counts.get(Outcome::Applied) == 2)
            .await?;

        server.rows(take).await?;
        site.publish(&[ann("c", "Anna", 2), ann("d", "Anne", 3), office("e")])
            .await?;
        consumer
            .until(|status| {
                let state = status.feeds.get(&feed).map(|feed| &feed.state);
                let says = |reason: &str| words.iter().all(|word| reason.contains(word));
                matches!(state, Some(State::Paused(reason)) if says(reason))
                    && status.counts.get(Outcome::Applied) == 3
            })
            .await?;
        let offices = server.rows("SELECT name FROM offices").await?;
        assert_eq!(offices, ["e"], "other feeds go on");

        for statement in give {
            server.rows(statement).await?;
        }
        consumer
            .until(|status| {
                status.counts.get(Outcome::Applied) == 5
                    && status
                        .feeds
                        .values()
                        .all(|feed| feed.state == State::Running)
            })
            .await?;
        let all = "SELECT concat(user_id, '=', name, ',', salary) FROM employees";
        assert_eq!(server.rows(all).await?, ["1=Anne,3"]);
        let parked = server.rows("SELECT event_id FROM dead_letters").await?;
        assert_eq!(parked, [""; 0]);
        consumer.stop().await?;
        relay.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_column_that_is_taken_away_is_waited_for() -> Result<()> {
    check(
        "ALTER TABLE employees DROP COLUMN salary",
        &["ALTER TABLE employees ADD COLUMN salary INTEGER"],
        &["employees", "salary"],
    )
    .await
}

#[tokio::test]
async fn a_table_that_is_taken_away_is_waited_for() -> Result<()> {
    check(
        "DROP TABLE employees",
        &[EMPLOYEES, "GRANT ALL ON employees TO hr"],
        &["employees"],
    )
    .await
}

#[tokio::test]
async fn a_right_that_is_taken_away_is_waited_for() -> Result<()> {
    check(
        "REVOKE INSERT, UPDATE ON employees FROM hr",
        &["GRANT INSERT, UPDATE ON employees TO hr"],
        &["denied", "employees"],
    )
    .await
}
