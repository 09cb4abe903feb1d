use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_core::outbox::Outbox;

use super::insert;
use crate::sample::stream;
use crate::suite::{PATIENCE, Site};

/// Of any connection; without a row it lasts as long as asked.
pub async fn a_wait_ends_with_a_row<S: Site>() {
    const SHORT: Duration = Duration::from_millis(50);

    let site = S::make("").await;
    let outbox = Arc::new(site.connect().await);
    let events = stream("events");
    let begun = Instant::now();
    outbox.wait(&events, SHORT).await;
    assert!(begun.elapsed() >= SHORT, "nothing was written");

    let waiting = tokio::spawn({
        let (outbox, events) = (Arc::clone(&outbox), events.clone());
        async move {
            let begun = Instant::now();
            outbox.wait(&events, 2 * PATIENCE).await;
            begun.elapsed()
        }
    });
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    assert!(waiting.await.unwrap() < PATIENCE);
}

/// A row is sent by somebody, or shown to be sent by nobody.
pub async fn rows_without_a_stream_are_adopted_and_stranded_ones_counted<S: Site>() {
    let site = S::make("").await;
    let outbox = site.connect().await;
    let events = stream("events");
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    site.execute("UPDATE outbox SET stream = NULL")
        .await
        .unwrap();
    assert_eq!(
        outbox
            .stranded(std::slice::from_ref(&events))
            .await
            .unwrap(),
        1
    );

    outbox.adopt(&events).await.unwrap();
    assert_eq!(outbox.unsent(&events).await.unwrap(), 1);
    assert_eq!(
        outbox
            .stranded(std::slice::from_ref(&events))
            .await
            .unwrap(),
        0
    );

    site.execute("UPDATE outbox SET stream = 'elsewhere'")
        .await
        .unwrap();
    assert_eq!(outbox.stranded(&[events]).await.unwrap(), 1);
}
