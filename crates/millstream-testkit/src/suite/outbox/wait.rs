use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream_core::outbox::Outbox;

use super::insert;
use crate::suite::{PATIENCE, Site};

/// Of any other connection; without one it lasts as long as asked.
pub async fn a_wait_ends_with_a_write<S: Site>() {
    const SHORT: Duration = Duration::from_millis(50);

    let site = S::make("").await;
    let outbox = Arc::new(site.connect().await);
    // The first look has nothing to compare with.
    outbox.wait(Duration::ZERO).await;
    let begun = Instant::now();
    outbox.wait(SHORT).await;
    assert!(begun.elapsed() >= SHORT, "nothing was written");

    let waiting = tokio::spawn({
        let outbox = Arc::clone(&outbox);
        async move {
            let begun = Instant::now();
            outbox.wait(2 * PATIENCE).await;
            begun.elapsed()
        }
    });
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    assert!(waiting.await.unwrap() < PATIENCE);
}
