//! What people do to consumer groups by mistake.

use anyhow::Result;

use super::place::{Place, key, runs};
use crate::site::{consume, eventually, relay};

/// There a group only shows where its application is.
#[tokio::test]
async fn whatever_happens_to_groups_of_owned_streams_changes_nothing() -> Result<()> {
    let place = Place::new(1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    place.publish(1..=50).await?;
    place.settled(50).await?;
    let database = place.site.hr.database().identity().await?.database;
    let (key, holder) = (key(0), format!("database:{database}"));
    let group = async || {
        let about: Vec<Vec<millstream_testkit::redis::Value>> =
            place.server.query(&["XINFO", "GROUPS", &key]).await?;
        anyhow::Ok(format!("{about:?}"))
    };
    let commands: [&[&str]; 4] = [
        &["XGROUP", "DESTROY", &key, "hr"],
        &["XGROUP", "SETID", &key, "hr", "$"],
        &["XGROUP", "SETID", &key, "hr", "0"],
        &["XGROUP", "DELCONSUMER", &key, "hr", &holder],
    ];
    let mut top = 50;
    for command in commands {
        // In the middle of something, and before it.
        eventually(true, async || {
            Ok(group().await?.contains(&format!("1-{top}")))
        })
        .await?;
        place.publish(top + 1..=top + 50).await?;
        place.run(command).await?;
        top += 50;
        place.settled(top).await?;
    }
    eventually(true, async || {
        Ok(group().await?.contains(&format!("1-{top}")))
    })
    .await?;
    assert_eq!(relay.handle.status().repairs, 0);
    relay.until(runs).await?;
    consumer.until(runs).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// There it is the queue: everything comes again.
#[tokio::test]
async fn a_group_that_begins_again_has_no_new_effects() -> Result<()> {
    const EVENTS: u64 = 50;
    for parallel in [false, true] {
        let place = Place::new(1).await?;
        let hr = place.accounts()?.parallel(parallel);
        let consumer = consume(&hr, &place.site.transport);
        place.credit(1..=EVENTS).await?;
        consumer
            .until(|status| status.counts.total() == EVENTS)
            .await?;
        let (mut total, mut repeated) = (EVENTS, 0);
        let commands: [&[&str]; 2] = [
            &["XGROUP", "DESTROY", "events", "hr"],
            &["XGROUP", "SETID", "events", "hr", "0"],
        ];
        for command in commands {
            eventually(0, async || place.pending().await).await?;
            place.run(command).await?;
            repeated += total;
            total += 1;
            place.credit([total]).await?;
            consumer
                .until(|status| (status.counts.total(), status.repeated) == (total, repeated))
                .await?;
        }
        eventually(0, async || place.pending().await).await?;
        consumer.stop().await?;
        assert_eq!(place.balance()?, total);
    }
    Ok(())
}
