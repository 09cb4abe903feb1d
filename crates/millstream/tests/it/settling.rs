//! What becomes of events that cannot be applied, and of those that are for others.

use anyhow::Result;
use millstream::core::delivery::Outcome;
use millstream::core::lease::{Feed, Role};
use millstream::core::outbox::OutboxRow;
use millstream::core::store::DeadLetterQuery;
use millstream::core::wire;

use crate::site::{Site, at, consume, event, eventually, raw_event, relay, row, shard};

#[tokio::test]
async fn what_no_consumer_can_read_is_kept_and_everything_else_goes_on() -> Result<()> {
    let site = Site::new().await?;
    site.announce().await?;
    let too_deep = format!(r#"{{"name":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    let too_large = format!(r#"{{"name":"{}"}}"#, "x".repeat(300 * 1024));
    let bad = |seq: u64, data: &str| OutboxRow {
        data: data.to_owned().into(),
        ..row(seq)
    };
    let rows = [
        row(1),
        bad(2, r#"{"name":"#),
        bad(3, &too_deep),
        bad(4, &too_large),
        bad(5, r#"{"name":"a\u0000b"}"#),
        bad(6, r#"{"salary":"a lot"}"#),
        OutboxRow {
            event_type: "".into(),
            ..row(7)
        },
        OutboxRow {
            data: vec![b'{', 0xff, b'}'].into(),
            ..row(8)
        },
        row(9),
    ];
    let entries = rows.map(|row| wire::encode_owned(&row, site.crm.name()));
    site.append(0, &entries).await?;
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 9).await?;
    assert_eq!(consumer.handle.status().counts.get(Outcome::Dead), 7);
    consumer.stop().await?;
    assert_eq!(site.employees()?, ["acme/1=e1,-", "acme/9=e9,-"]);

    let query = DeadLetterQuery {
        limit: 100,
        ..DeadLetterQuery::default()
    };
    let letters = site.hr.database().dead_letters(&query).await?;
    assert_eq!(letters.len(), 7);
    for (letter, entry) in letters.iter().zip(&entries[1..]) {
        assert_eq!(
            (letter.entry, letter.outcome),
            (entry.id, Outcome::Dead),
            "{}",
            letter.reason
        );
        assert_eq!(letter.raw, entry.fields, "{}", letter.reason);
        assert!(
            !letter.reason.contains("a lot") && letter.reason.len() > 10,
            "{}",
            letter.reason
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_parked_event_holds_up_its_key_and_nobody_else() -> Result<()> {
    let site = Site::new().await?;
    site.publish(&[
        event("a", "1", "Ann"),
        raw_event("b", "1", r#"{"name":"Bea","salary":"a lot"}"#),
        event("c", "2", "Cid"),
    ])
    .await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    consumer.until(|status| status.counts.total() == 3).await?;
    // Also those that come in later batches, and after a restart.
    site.publish(&[event("d", "1", "Dan"), event("e", "2", "Eve")])
        .await?;
    consumer.until(|status| status.counts.total() == 5).await?;
    consumer.stop().await?;
    let consumer = consume(&site.hr, &site.transport);
    site.publish(&[event("f", "1", "Fay"), event("g", "3", "Guy")])
        .await?;
    consumer.until(|status| status.counts.total() == 2).await?;
    consumer.stop().await?;

    let inbox = [
        "a applied",
        "b dead",
        "c applied",
        "d blocked",
        "e applied",
        "f blocked",
        "g applied",
    ];
    assert_eq!(site.inbox()?, inbox);
    assert_eq!(
        site.employees()?,
        ["acme/1=Ann,-", "acme/2=Eve,-", "acme/3=Guy,-"]
    );
    relay.stop().await
}

#[tokio::test]
async fn events_for_others_leave_no_row_and_move_the_checkpoint() -> Result<()> {
    let site = Site::new().await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr, &site.transport);
    let others: Vec<_> = (1..=3)
        .map(|i| {
            let mut event = event(&format!("e{i}"), "1", "Ann");
            event.target = millstream::Targets::parse("billing, system").unwrap();
            event
        })
        .collect();
    site.publish(&others).await?;

    let store = site.hr.database();
    eventually(Some(at(3)), async || {
        let rows = store.leases(Role::Consumer).await?;
        let row = rows
            .into_iter()
            .find(|row| row.feed == Feed::Owned(shard(0)));
        Ok(row.map(|row| row.checkpoint.at))
    })
    .await?;
    eventually(Some(at(3)), async || {
        let positions = site.transport.log.positions(&shard(0)).await?;
        Ok(positions.first().map(|position| position.at))
    })
    .await?;
    assert!(site.inbox()?.is_empty());
    assert!(site.employees()?.is_empty());

    // One for us behind them follows on them.
    site.publish(&[event("e4", "1", "Bea")]).await?;
    consumer.until(|status| status.counts.total() == 1).await?;
    assert_eq!(site.inbox()?, ["e4 applied"]);
    consumer.stop().await?;
    relay.stop().await
}
