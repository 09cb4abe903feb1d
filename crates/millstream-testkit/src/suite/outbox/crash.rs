use millstream_core::outbox::Outbox;

use super::upkeep::{State, Upkeep, ready};
use super::{NOW, SHARDS, all, event, insert, number, text, tops};
use crate::sample::stream;
use crate::suite::Site;

const EVENTS: usize = 12;

/// Whichever statement is the last: each event gets exactly one number, in order, as if nothing
/// had happened, and whoever comes next finds what was numbered already.
pub async fn death_while_numbering_loses_nothing<S: Site>() {
    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = S::make("").await;
        let sql: Vec<_> = (10..10 + EVENTS)
            .map(|n| insert("acme", &(n % 4).to_string(), &format!("{{\"n\":{n}}}")))
            .collect();
        site.execute(&sql.concat()).await.unwrap();
        let mut leases = tops(&site.connect().await).await;

        let mortal = site.connect_mortal(statements).await;
        for _ in 0..3 {
            // A dead process may answer or not.
            if mortal.number(&leases, 5, NOW).await.is_err() {
                break;
            }
            for lease in &mut leases {
                if let Ok(Some(checkpoint)) =
                    millstream_core::lease::Leases::checkpoint(&mortal, lease).await
                {
                    lease.checkpoint = checkpoint;
                }
            }
        }
        alive = !site.bury(mortal).await;
        statements += 1;

        let outbox = site.connect().await;
        let mut held = tops(&outbox).await;
        let mut before = 0;
        for (lease, shard) in held.iter().zip(0..) {
            let rows = all(&outbox, shard).await;
            let last = rows.last().map(|row| row.at).unwrap_or_default();
            assert_eq!(
                lease.checkpoint.at, last,
                "rows and checkpoint were committed together"
            );
            before += rows.len();
        }
        let after = number(&outbox, &mut held, 100).await.len();
        assert_eq!(before + after, EVENTS);
        assert!(!alive || after == 0);
        for shard in 0..SHARDS {
            let rows = all(&outbox, shard).await;
            let seqs: Vec<_> = rows.iter().map(|row| row.at.low).collect();
            assert_eq!(seqs, (1..=rows.len() as u64).collect::<Vec<_>>());
            assert!(rows.is_sorted_by_key(|row| text(&row.data).to_owned()));
        }
    }
    assert!(statements > 12, "there were statements to die before");
}

/// All events of a call, or none; and the same call again adds what is missing.
pub async fn death_while_inserting_leaves_all_or_nothing<S: Site>() {
    let mut events: Vec<_> = (0..4).map(|_| event("acme", "7", "{}")).collect();
    for (n, event) in events.iter_mut().enumerate() {
        event.id = millstream_core::name::EventId::new(n.to_string()).ok();
    }
    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = S::make("").await;
        let mortal = site.connect_mortal(statements).await;
        drop(mortal.insert(&stream("events"), &events).await);
        alive = !site.bury(mortal).await;
        statements += 1;

        let outbox = site.connect().await;
        let there = outbox.unsent(&stream("events")).await.unwrap();
        assert!(there == 0 || there == 4, "{there}");
        let again = outbox.insert(&stream("events"), &events).await.unwrap();
        assert_eq!((again.added, again.repeated), (4 - there, there));
    }
    assert!(statements > 3, "there were statements to die before");
}

/// Everything that an operation does is there, or nothing of it; and whoever comes next can do it.
pub async fn death_during_upkeep_leaves_all_or_nothing<S: Site>() {
    for operation in Upkeep::ALL {
        let (site, held) = ready::<S>().await;
        let outbox = site.connect().await;
        let before = State::of(&outbox).await;
        operation.run(&outbox, &held).await.unwrap();
        let after = State::of(&outbox).await;

        let (mut statements, mut alive) = (0, false);
        while !alive {
            let (site, held) = ready::<S>().await;
            let mortal = site.connect_mortal(statements).await;
            drop(operation.run(&mortal, &held).await);
            alive = !site.bury(mortal).await;
            statements += 1;

            let outbox = site.connect().await;
            let found = State::of(&outbox).await;
            assert!(
                found == after || found == before && !alive,
                "{operation:?} before statement {statements}"
            );
            if found == before {
                operation.run(&outbox, &held).await.unwrap();
                assert_eq!(State::of(&outbox).await, after);
            }
        }
        assert_ne!(before, after, "{operation:?} has an effect");
        assert!(statements > 3, "there were statements to die before");
    }
}
