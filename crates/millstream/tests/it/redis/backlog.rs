//! A relay that was away for long.

use anyhow::Result;
use millstream::rusqlite::Connection;

use super::place::{Place, key};
use crate::site::relay;

/// Its memory is measured by the proofs.
#[tokio::test]
async fn a_hundred_thousand_unsent_rows_drain_in_order() -> Result<()> {
    const EVENTS: usize = 100_000;
    let place = Place::new(1).await?;
    Connection::open(place.site.path("crm.db"))?.execute_batch(&format!(
        "INSERT INTO outbox (event_id, event_type, tenant_id, entity_id, event_data)
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
         SELECT 'e' || i, 'user.updated', 'acme', i % 100, '{{}}' FROM n"
    ))?;
    let relay = relay(&place.site.crm, &place.site.transport);
    relay.until(|status| status.sent == EVENTS as u64).await?;
    relay.stop().await?;

    let entries: Vec<(String, Vec<String>)> =
        place.server.query(&["XRANGE", &key(0), "-", "+"]).await?;
    assert_eq!(entries.len(), EVENTS);
    for ((id, fields), seq) in entries.iter().zip(1..) {
        assert_eq!(*id, format!("1-{seq}"));
        let event = fields.chunks(2).find(|pair| pair[0] == "eventId");
        assert_eq!(event.map(|pair| &*pair[1]), Some(&*format!("e{seq}")));
    }
    Ok(())
}
