//! A graceful stop at any moment leaves nothing half done.

use std::time::Duration;

use anyhow::Result;
use millstream::core::outbox::Outbox;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::site::{Site, consume, event, eventually, relay};

const STOPS: u32 = 20;
const EVENTS: u32 = 12_000;
const ENTITIES: u32 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_at_random_moments_under_load_the_rows_are_the_same() -> Result<()> {
    let site = Site::with(4, "10s").await?;
    let mut random = StdRng::seed_from_u64(7);
    let last = |entity: u32| format!("acme/{entity:02}={},-", EVENTS - ENTITIES + entity);
    let expected: Vec<_> = (0..ENTITIES).map(last).collect();

    let (database, stream) = (site.crm.database(), site.stream());
    let publisher = tokio::spawn(async move {
        for first in (0..EVENTS).step_by(20) {
            let events: Vec<_> = (first..first + 20)
                .map(|i| {
                    event(
                        &format!("e{i}"),
                        &format!("{:02}", i % ENTITIES),
                        &i.to_string(),
                    )
                })
                .collect();
            database.insert(&stream, &events).await?;
        }
        anyhow::Ok(())
    });
    for _ in 0..STOPS {
        let relay = relay(&site.crm, &site.transport);
        let consumer = consume(&site.hr, &site.transport);
        // The moment is what is random here; nothing waits for it to be long enough.
        let moment = Duration::from_millis(random.random_range(0..150));
        tokio::time::timeout(moment, consumer.handle.wait_until(|_| false))
            .await
            .ok();
        let (relay, consumer) = tokio::join!(relay.stop(), consumer.stop());
        relay?;
        consumer?;
    }
    publisher.await??;

    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    eventually(EVENTS as usize, async || Ok(site.inbox()?.len())).await?;
    consumer.stop().await?;
    relay.stop().await?;
    assert_eq!(site.employees()?, expected);
    assert!(site.inbox()?.iter().all(|row| row.ends_with(" applied")));
    Ok(())
}
