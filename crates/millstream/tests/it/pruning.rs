//! The inbox keeps what may come again, and forgets what is old.

use std::time::Duration;

use anyhow::Result;
use millstream::core::acknowledgment::{Acknowledgment, Message, Registration};
use millstream::core::delivery::Outcome;
use millstream::core::name::{AppName, DatabaseId};
use millstream::engine::status::Status;

use crate::site::{Site, consume, event, eventually, raw_event, relay};

const RETENTION: Duration = Duration::from_millis(300);

/// And nothing else: what is dead stays for a person to look at.
#[tokio::test]
async fn what_the_outbox_has_no_more_leaves_the_inbox() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 0);
    site.publish(&[
        event("a", "1", "Ann"),
        raw_event("b", "2", r#"{"name":"Bob","salary":"much"}"#),
        event("c", "3", "Cid"),
    ])
    .await?;
    let relay = relay(&site.crm, &site.transport);
    let consumer = consume(&site.hr.clone().inbox_retention(RETENTION), &site.transport);
    eventually(vec!["b dead".to_owned()], async || site.inbox()).await?;
    assert_eq!(site.employees()?, ["acme/1=Ann,-", "acme/3=Cid,-"]);

    // It goes on from the checkpoint.
    site.publish(&[event("d", "1", "Dan"), event("e", "2", "Eve")])
        .await?;
    let left = ["b dead", "e blocked"].map(str::to_owned).to_vec();
    eventually(left, async || site.inbox()).await?;
    assert_eq!(site.employees()?, ["acme/1=Dan,-", "acme/3=Cid,-"]);
    consumer.stop().await?;
    relay.stop().await
}

/// Until everybody has, a new generation may bring it again.
#[tokio::test]
async fn what_somebody_has_not_settled_stays_in_the_inbox() -> Result<()> {
    let mut site = Site::new().await?;
    site.keep(Duration::ZERO, 0);
    let relay = relay(&site.crm, &site.transport);
    let billing = DatabaseId::new("billing-database")?;
    let registration = Acknowledgment {
        application: AppName::new("billing")?,
        database: billing.clone(),
        stream: site.stream(),
        message: Message::Register {
            reason: Registration::New,
            checkpoints: Vec::new(),
        },
    };
    let publishers = || site.transport.log.publishers(None);
    eventually(1, async || Ok(publishers().await?.len())).await?;
    let log = &site.transport.log;
    log.acknowledge(site.crm.name(), &registration.encode())
        .await?;
    eventually(1, async || Ok(publishers().await?[0].subscribers.len())).await?;

    let consumer = consume(&site.hr.clone().inbox_retention(RETENTION), &site.transport);
    let applied = |n| move |status: &Status| status.counts.get(Outcome::Applied) == n;
    let events = [event("a", "1", "Ann"), event("b", "2", "Bea")];
    site.publish(&events).await?;
    consumer.until(applied(2)).await?;
    site.say_settled("billing", &billing, 1).await?;
    eventually(vec!["b applied".to_owned()], async || site.inbox()).await?;
    tokio::time::sleep(RETENTION * 3).await;
    assert_eq!(site.inbox()?, ["b applied"]);
    site.say_settled("billing", &billing, 2).await?;
    eventually(Vec::<String>::new(), async || site.inbox()).await?;
    consumer.stop().await?;
    relay.stop().await
}

/// What was added long before what is settled now, and only once the stream has it no more: a group that is
/// lost begins again with all that is there.
#[tokio::test]
async fn what_a_shared_stream_has_no_more_leaves_the_inbox() -> Result<()> {
    let site = Site::new().await?;
    let direct = site.crm.direct(&site.transport);
    let consumer = consume(&site.hr.clone().inbox_retention(RETENTION), &site.transport);
    for (id, name) in [("a", "Ann"), ("b", "Bea")] {
        direct
            .publish(&site.stream(), &event(id, "1", name))
            .await?;
    }
    eventually(2, async || Ok(site.inbox()?.len())).await?;
    tokio::time::sleep(RETENTION).await;
    let (_, last) = direct
        .publish(&site.stream(), &event("c", "1", "Cid"))
        .await?;
    eventually(3, async || Ok(site.inbox()?.len())).await?;
    // An idle feed looks every 2 s at the latest.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.inbox()?, ["a applied", "b applied", "c applied"]);

    site.transport
        .queue
        .trim_shared(&site.stream(), last)
        .await?;
    eventually(vec!["c applied".to_owned()], async || site.inbox()).await?;
    assert_eq!(site.employees()?, ["acme/1=Cid,-"]);
    consumer.stop().await
}
