use std::collections::HashMap;
use std::sync::Arc;

use millstream_core::error::ErrorKind;
use millstream_core::outbox::Outbox;

use super::{NOW, SHARDS, all, event, insert, number, text, tops};
use crate::sample::stream;
use crate::suite::Site;

/// Who lost a lease writes nothing, though it does not know yet.
pub async fn a_second_relay_is_fenced<S: Site>() {
    let site = S::make("").await;
    let (first, second) = (site.connect().await, site.connect().await);
    let lost = tops(&first).await;
    let mut held = tops(&second).await;
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    let error = first.number(&lost, 10, NOW).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(first.unsent(&stream("events")).await.unwrap(), 1);

    let rows = number(&second, &mut held, 10).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].at.low, 1);
}

/// The same leases with tops that are no longer the last: two threads of one relay, say.
pub async fn a_relay_that_lags_is_fenced<S: Site>() {
    let site = S::make("").await;
    let (first, second) = (site.connect().await, site.connect().await);
    let stale = tops(&first).await;
    let mut leases = stale.clone();
    site.execute(&insert("acme", "7", "{}")).await.unwrap();
    assert_eq!(number(&second, &mut leases, 10).await.len(), 1);
    site.execute(&insert("acme", "7", "{}")).await.unwrap();

    let error = first.number(&stale, 10, NOW).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(first.unsent(&stream("events")).await.unwrap(), 1);
    let rows = number(&first, &mut leases, 10).await;
    assert_eq!(rows[0].at.low, 2);
}

/// Several processes write events of the same keys while they are numbered: of each writer and key
/// they come in the order in which they were written, and versions rise with seqs.
pub async fn a_key_keeps_its_order_under_concurrent_writers<S: Site>() {
    const WRITERS: usize = 4;
    const EVENTS: usize = 40;

    let site = Arc::new(S::make("").await);
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let site = Arc::clone(&site);
        writers.push(tokio::spawn(async move {
            let outbox = site.connect().await;
            // As many digits each, so that their order is that of texts.
            for n in 100..100 + EVENTS {
                let (key, data) = ((n % 3).to_string(), format!("{{\"w\":{writer},\"n\":{n}}}"));
                if writer % 2 == 0 {
                    let events = [event("acme", &key, &data)];
                    outbox.insert(&stream("events"), &events).await.unwrap();
                } else {
                    site.execute(&insert("acme", &key, &data)).await.unwrap();
                }
            }
        }));
    }
    let relay = site.connect().await;
    let mut tops = tops(&relay).await;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        number(&relay, &mut tops, 7).await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    number(&relay, &mut tops, WRITERS * EVENTS).await;

    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut last: HashMap<(String, String), String> = HashMap::new();
    for shard in 0..SHARDS {
        for (seq, row) in (1..).zip(all(&relay, shard).await) {
            assert_eq!(row.at.low, seq);
            let key = text(&row.partition_key).to_owned();
            let version = versions.entry(key.clone()).or_default();
            *version += 1;
            assert_eq!(row.entity_version, *version);
            let (writer, n) = text(&row.data).split_once(',').unwrap();
            let before = last.insert((key, writer.into()), n.into());
            assert!(
                before.is_none_or(|before| *before < *n),
                "{}",
                text(&row.data)
            );
        }
    }
    assert_eq!(versions.values().sum::<u64>(), (WRITERS * EVENTS) as u64);
}
