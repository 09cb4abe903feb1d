//! Servers that come back with less than they had.

use anyhow::Result;
use millstream_testkit::server::{Flavour, Server};

use super::place::{Place, is_paused, runs};
use crate::site::{consume, relay};

/// Everything is gone, also what was on its way.
#[tokio::test]
async fn a_server_without_persistence_loses_nothing_of_ours() -> Result<()> {
    for flavour in Flavour::SUPPORTED {
        let place = Place::of(flavour, 4).await?;
        let relay = relay(&place.site.crm, &place.site.transport);
        let consumer = consume(&place.site.hr, &place.site.transport);
        place.publish(1..=20).await?;
        place.settled(20).await?;
        // What HR has not got when the server goes.
        consumer.stop().await?;
        place.publish(21..=40).await?;
        relay.until(|status| status.sent >= 40).await?;
        place.server.kill()?;
        place.publish(41..=60).await?;
        relay.until(is_paused).await?;
        place.server.start().await?;
        let consumer = consume(&place.site.hr, &place.site.transport);
        place.settled(60).await?;
        assert_eq!(place.site.employees()?.len(), 60);
        consumer.stop().await?;
        relay.stop().await?;
    }
    Ok(())
}

/// By SIGKILL, again and again, while events pass.
#[tokio::test]
async fn a_server_that_is_killed_over_and_over_is_waited_for() -> Result<()> {
    const KILLS: u64 = 6;
    let place = Place::on(Server::builder(Flavour::Redis), 4).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    for round in 0..KILLS {
        place.publish(20 * round + 1..=20 * round + 20).await?;
        let some = 20 * round + 1;
        consumer
            .until(|status| status.counts.total() >= some)
            .await?;
        place.server.restart().await?;
    }
    place.settled(20 * KILLS).await?;
    relay.until(runs).await?;
    consumer.until(runs).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// A snapshot of some time ago: what came since is sent again, and what HR has settled since is not
/// applied again, nor what its group of the shared stream is handed again.
#[tokio::test]
async fn an_old_snapshot_is_brought_up_to_date() -> Result<()> {
    for is_settled in [true, false] {
        let place = Place::new(1).await?;
        let hr = place.accounts()?;
        let relay = relay(&place.site.crm, &place.site.transport);
        let consumer = consume(&hr, &place.site.transport);
        place.publish(1..=5).await?;
        consumer.until(|status| status.counts.total() == 5).await?;
        place.credit(101..=105).await?;
        // Before they are acked, or after: either is repeated at most.
        consumer.until(|status| status.counts.total() == 10).await?;
        place.run(&["SAVE"]).await?;
        place.credit(106..=107).await?;
        consumer.until(|status| status.counts.total() == 12).await?;
        if !is_settled {
            consumer.kill().await;
            place.publish(6..=10).await?;
            relay.until(|status| status.sent == 10).await?;
        } else {
            place.publish(6..=10).await?;
            consumer.until(|status| status.counts.total() == 17).await?;
            consumer.kill().await;
        }
        // By SIGKILL; it reads its snapshot.
        place.server.restart().await?;

        let consumer = consume(&hr, &place.site.transport);
        // The same again, as its publisher did not hear of it.
        place.credit(106..=107).await?;
        place.publish(11..=12).await?;
        let new = if is_settled { 2 } else { 7 };
        consumer
            .until(|status| (status.counts.total(), status.repeated >= 2) == (new, true))
            .await?;
        consumer.stop().await?;
        relay.stop().await?;
        let inbox = place.site.inbox()?;
        assert_eq!(inbox.len(), 19, "{inbox:?}");
        assert_eq!((place.balance()?, place.site.employees()?.len()), (7, 12));
        assert_eq!(place.pending().await?, 0);
    }
    Ok(())
}
