//! Many at once.

use std::time::Instant;

use anyhow::Result;
use millstream::App;

use super::place::{Place, is_paused, runs};
use crate::site::{consume, eventually, numbers, relay};

/// Each waits for the owned stream, and for the shared one.
const CONSUMERS: usize = 50;

#[tokio::test]
async fn fifty_consumers_come_back_without_a_storm() -> Result<()> {
    let place = Place::new(1).await?;
    let relay = relay(&place.site.crm, &place.site.transport);
    let file = |number: usize| place.site.path(&format!("app{number}.db"));
    let mut consumers = Vec::new();
    for number in 0..CONSUMERS {
        let database = format!("sqlite:{}", file(number).display());
        let app = App::new(&format!("app{number}"), &database)?.subscribe("events")?;
        app.migrate().await?;
        consumers.push(consume(&app, &place.site.transport));
    }
    let arrived = |count: u64| {
        let file = &file;
        async move {
            for number in 0..CONSUMERS {
                let sql = "SELECT count(*) FROM millstream_inbox";
                eventually(vec![count], async || numbers(&file(number), sql)).await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    };
    place.publish([1]).await?;
    arrived(1).await?;
    place.blocked(2 * CONSUMERS as u64).await?;

    let before = place.proxy.counts();
    place.server.kill()?;
    for consumer in &consumers {
        consumer.until(is_paused).await?;
    }
    let refused = place.proxy.counts().connections - before.connections;
    // One process asks for all of them, and less and less often.
    assert!(refused <= 40, "{refused} tries while it was away");
    let started = Instant::now();
    place.server.start().await?;
    place.publish([2]).await?;
    arrived(2).await?;
    for consumer in &consumers {
        consumer.until(runs).await?;
    }
    let opened = place.proxy.counts().connections - before.connections - refused;
    let needed = 2 * CONSUMERS as u64 + 1;
    assert!(opened <= needed + 40, "{opened} connections");
    let cpu = place.info("used_cpu_user").await? + place.info("used_cpu_sys").await?;
    let share = cpu / started.elapsed().as_secs_f64();
    assert!(share < 0.5, "the server works {share:.2} of the time");
    for consumer in consumers {
        consumer.kill().await;
    }
    relay.stop().await
}
