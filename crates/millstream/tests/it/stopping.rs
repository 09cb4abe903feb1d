//! A graceful stop at any moment leaves nothing half done, and neither does a defect.

use std::time::Duration;

use anyhow::Result;
use millstream::CancellationToken;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::panicking::Panicking;
use crate::site::{Site, consume, event, eventually, relay, rows};

const STOPS: u32 = 20;
const ENTITIES: u32 = 50;
const EVENTS_OF_ONE_TRANSACTION: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_at_random_moments_under_load_the_rows_are_the_same() -> Result<()> {
    let site = Site::with(4, "10s").await?;
    let mut random = StdRng::seed_from_u64(7);

    let (database, stream, enough) = (site.crm.database(), site.stream(), CancellationToken::new());
    let publisher = tokio::spawn({
        let enough = enough.clone();
        async move {
            let mut count = 0;
            while count < ENTITIES || !enough.is_cancelled() {
                let events: Vec<_> = (count..count + EVENTS_OF_ONE_TRANSACTION)
                    .map(|i| {
                        event(
                            &format!("e{i}"),
                            &format!("{:02}", i % ENTITIES),
                            &i.to_string(),
                        )
                    })
                    .collect();
                database.insert(&stream, &events).await?;
                count += EVENTS_OF_ONE_TRANSACTION;
            }
            anyhow::Ok(count)
        }
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
        for file in ["crm.db", "hr.db"] {
            let left = "SELECT owner FROM millstream_shards WHERE owner IS NOT NULL
                        UNION ALL SELECT instance FROM millstream_instances";
            assert_eq!(rows(&site.path(file), left)?, [""; 0], "{file}");
        }
    }
    enough.cancel();
    let count = publisher.await??;

    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    eventually(count as usize, async || Ok(site.inbox()?.len())).await?;
    consumer.stop().await?;
    relay.stop().await?;
    assert!(site.inbox()?.iter().all(|row| row.ends_with(" applied")));
    let last = |entity: u32| {
        (count - ENTITIES..count)
            .find(|i| i % ENTITIES == entity)
            .unwrap()
    };
    let expected: Vec<_> = (0..ENTITIES)
        .map(|entity| format!("acme/{entity:02}={},-", last(entity)))
        .collect();
    assert_eq!(site.employees()?, expected);
    Ok(())
}

#[tokio::test]
async fn after_a_panic_the_work_is_taken_up_again() -> Result<()> {
    let mut site = Site::with(1, "1s").await?;
    // Each side panics in the middle of its work, once.
    let log = Panicking::new(site.transport.log.clone());
    site.transport.log = log.clone();
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("a", "1", "Ann")]).await?;
    eventually(true, async || Ok(log.has_panicked())).await?;
    site.publish(&[event("b", "2", "Bob")]).await?;
    eventually(2, async || Ok(site.inbox()?.len())).await?;
    // Both shards' feeds are shown as before.
    consumer.until(|status| status.feeds.len() == 2).await?;
    relay.until(|status| status.feeds.len() == 1).await?;
    consumer.stop().await?;
    relay.stop().await?;
    assert_eq!(site.inbox()?, ["a applied", "b applied"]);
    Ok(())
}
