//! An entry id that a server gives twice.

use anyhow::Result;

use super::place::Place;
use crate::site::{consume, eventually};

/// As after a fail-over to a replica that lacked an entry: its id is given to the next event. Whoever
/// takes entry ids for event ids loses it.
#[tokio::test]
async fn another_event_under_an_entry_id_that_was_applied_is_applied() -> Result<()> {
    let place = Place::new(1).await?;
    let consumer = consume(&place.accounts()?, &place.site.transport);
    for (id, event) in [("7-1", "a"), ("7-2", "b")] {
        place.credit_by_hand(id, event).await?;
    }
    consumer.until(|status| status.counts.total() == 2).await?;
    place.server.restart().await?;
    for (id, event) in [("7-1", "a"), ("7-2", "c"), ("7-3", "b"), ("7-4", "d")] {
        place.credit_by_hand(id, event).await?;
    }
    consumer
        .until(|status| (status.counts.total(), status.repeated) == (4, 2))
        .await?;
    eventually(0, async || place.pending().await).await?;
    consumer.stop().await?;
    assert_eq!(place.balance()?, 4);
    Ok(())
}
