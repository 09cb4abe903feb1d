//! Events keep coming during the fail-over.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use millstream::core::name::{EventType, StreamName};
use millstream::{App, CancellationToken, Event, NewEvent, postgres};

use super::place::Place;
use crate::site::{consume, event, eventually, relay};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const LEDGER: &str = "CREATE TABLE ledger (n bigserial, entity text, event text)";

/// Events between what a test waits for.
const EVENTS: u64 = 100;

const ENTITIES: u64 = 8;

/// Not repeatable by itself: what is added twice is there twice.
struct Ledger;

#[async_trait]
impl postgres::Handler for Ledger {
    async fn handle(
        &self,
        event: &Event,
        tx: &postgres::tokio_postgres::Transaction<'_>,
    ) -> Result<(), BoxError> {
        let insert = "INSERT INTO ledger (entity, event) VALUES ($1, $2)";
        tx.execute(insert, &[&event.entity.as_str(), &event.id.as_str()])
            .await?;
        Ok(())
    }
}

/// Two events of one key: one for the mapping, and one for the handler.
fn events(n: u64) -> [NewEvent; 2] {
    let entity = (n % ENTITIES).to_string();
    let updated = event(&format!("u{n:05}"), &entity, &format!("name {n}"));
    let mut credited = event(&format!("c{n:05}"), &entity, "");
    credited.event_type = EventType::new("credit.allocated").unwrap();
    [updated, credited]
}

/// Publishes until it is stopped, and says how often it did.
async fn publish(crm: App, stream: StreamName, stop: CancellationToken) -> Result<u64> {
    let outbox = crm.database();
    let mut published = 0;
    while !stop.is_cancelled() {
        outbox.insert(&stream, &events(published)).await?;
        published += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(published)
}

/// The leases move after the standby was held back: it still knows the first instance as the owner of
/// everything, and nothing of the second.
#[tokio::test]
async fn two_instances_go_on_without_a_gap_or_a_second_effect() -> Result<()> {
    let mut place = Place::new(4).await?;
    place.pair.rows(LEDGER).await?;
    let hr = place.site.hr.clone();
    let hr = hr.on_postgres("credit.allocated", Ledger);
    let transport = place.site.transport.clone();
    let relay = relay(&place.site.crm, &transport);
    let first = consume(&hr, &transport);
    let stop = CancellationToken::new();
    let publishing = publish(place.site.crm.clone(), place.site.stream(), stop.clone());
    let publishing = tokio::spawn(publishing);
    first
        .until(|status| status.counts.total() >= EVENTS)
        .await?;

    place.pair.hold_back().await?;
    let second = consume(&hr, &transport);
    second
        .until(|status| status.counts.total() >= EVENTS)
        .await?;
    let lost = first.handle.status().counts.total() + second.handle.status().counts.total()
        - place.on_standby().await?;
    assert!(lost >= EVENTS, "the standby lacks {lost} events only");
    place.fail_over().await?;
    let before = first.handle.status().counts.total();
    first
        .until(|status| status.counts.total() >= before + EVENTS)
        .await?;
    stop.cancel();
    let published = publishing.await??;

    let mut names = BTreeMap::new();
    let mut ledger = Vec::new();
    for n in 0..published {
        let [updated, credited] = events(n);
        names.insert(updated.entity.to_string(), format!("name {n}"));
        ledger.push(format!(
            "{} {}",
            credited.entity,
            credited.id.expect("it has one")
        ));
    }
    // In the order of the keys, and of the events of each.
    ledger.sort();
    let effects = "SELECT entity || ' ' || event FROM ledger ORDER BY entity, n";
    eventually(ledger, async || place.pair.rows(effects).await).await?;
    let names: Vec<_> = names
        .iter()
        .map(|(id, name)| format!("{id}={name}"))
        .collect();
    eventually(names, async || place.employees().await).await?;
    let mut inbox = place.inbox().await?;
    inbox.sort();
    inbox.dedup();
    assert_eq!(inbox.len() as u64, 2 * published);
    assert!(inbox.iter().all(|row| row.ends_with(" applied")));
    second.stop().await?;
    first.stop().await?;
    relay.stop().await
}
