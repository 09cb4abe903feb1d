//! The server did it, and its answer was lost.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::place::Place;
use crate::site::{consume, relay};

/// A relay that sends again without looking what is there adds the events twice.
#[tokio::test]
async fn an_append_whose_reply_is_lost_is_in_its_stream_once() -> Result<()> {
    const EVENTS: u64 = 6;
    let place = Place::new(1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let consumer = consume(&place.site.hr, &place.site.transport);
    for id in 1..=EVENTS {
        // Only the append holds it.
        place.proxy.drop_reply_to(format!("\"e{id}\""));
        place.publish([id]).await?;
        place
            .proxy
            .counted(|counts| counts.replies_dropped == id)
            .await?;
    }
    place.settled(EVENTS).await?;
    let ids: Vec<_> = (1..=EVENTS).map(|seq| format!("1-{seq}")).collect();
    assert_eq!(place.ids(0).await?, ids);
    assert_eq!(relay.handle.status().repairs, 0);
    consumer.stop().await?;
    relay.stop().await
}

/// What was handed out with it is found at once, not after `claim_idle`, which is 30 s.
async fn a_lost_read_strands_nothing(parallel: bool) -> Result<()> {
    let place = Place::new(1).await?;
    let hr = place.accounts()?.parallel(parallel);
    place.proxy.drop_reply_to("XREADGROUP\r\n$5\r\nGROUP\r\n");
    let consumer = consume(&hr, &place.site.transport);
    place.blocked(1).await?;
    let handed_out = Instant::now();
    place.credit([1]).await?;
    consumer.until(|status| status.counts.total() == 1).await?;
    let took = handed_out.elapsed();
    assert_eq!(place.proxy.counts().replies_dropped, 1);
    assert!(took < Duration::from_secs(2), "{took:?}");
    consumer.stop().await?;
    assert_eq!((place.balance()?, place.pending().await?), (1, 0));
    Ok(())
}

#[tokio::test]
async fn entries_of_a_read_whose_reply_is_lost_are_applied_at_once() -> Result<()> {
    a_lost_read_strands_nothing(false).await
}

#[tokio::test]
async fn entries_of_a_competing_read_whose_reply_is_lost_are_applied_at_once() -> Result<()> {
    a_lost_read_strands_nothing(true).await
}
