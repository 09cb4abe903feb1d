use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::ErrorKind;
use millstream_core::log::{Log, Position};

use crate::sample::{app, database, shard};
use crate::suite::Place;

fn position(group: &str, held_by: &str, seq: u64) -> Position {
    Position {
        group: app(group),
        database: database(held_by),
        at: EntryId::new(1, seq),
    }
}

async fn positions(log: &impl Log, shard: &Shard) -> Vec<Position> {
    let mut positions = log.positions(shard).await.unwrap();
    positions.sort_by(|a, b| a.group.cmp(&b.group));
    positions
}

/// A late or repeated publication does not move a position back, nor is it an error.
pub async fn positions_rise_only<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    assert_eq!(positions(&log, &shard(0)).await, []);
    for (seq, expected) in [(0, 0), (5, 5), (3, 5), (5, 5), (6, 6)] {
        log.publish_position(&shard(0), &position("hr", "d1", seq))
            .await
            .unwrap();
        assert_eq!(
            positions(&log, &shard(0)).await,
            [position("hr", "d1", expected)]
        );
    }
}

/// Another database cannot publish for a group, neither upwards nor downwards.
pub async fn a_clone_cannot_move_a_position<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let (log, other) = (place.connect().await, place.connect().await);
    log.publish_position(&shard(0), &position("hr", "d1", 5))
        .await
        .unwrap();
    for seq in [1, 5, 9] {
        let clone = position("hr", "d2", seq);
        let error = other.publish_position(&shard(0), &clone).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    }
    assert_eq!(positions(&log, &shard(0)).await, [position("hr", "d1", 5)]);
}

/// Once forgotten, a group belongs to the next database that publishes, from wherever it is.
pub async fn a_forgotten_position_is_free<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    log.forget_positions(&shard(0), &app("hr")).await.unwrap();
    log.publish_position(&shard(0), &position("hr", "d1", 5))
        .await
        .unwrap();
    log.publish_position(&shard(0), &position("billing", "d3", 4))
        .await
        .unwrap();
    log.forget_positions(&shard(0), &app("hr")).await.unwrap();
    assert_eq!(
        positions(&log, &shard(0)).await,
        [position("billing", "d3", 4)]
    );
    log.publish_position(&shard(0), &position("hr", "d2", 2))
        .await
        .unwrap();
    let expected = [position("billing", "d3", 4), position("hr", "d2", 2)];
    assert_eq!(positions(&log, &shard(0)).await, expected);
}

/// Each group has a position on each shard, also on one that holds nothing yet.
pub async fn positions_are_apart<P: Place<Handle: Log>>() {
    let place = P::make().await;
    let log = place.connect().await;
    for (number, group, seq) in [(0, "hr", 1), (0, "billing", 2), (1, "hr", 3)] {
        log.publish_position(&shard(number), &position(group, "d1", seq))
            .await
            .unwrap();
    }
    let expected = [position("billing", "d1", 2), position("hr", "d1", 1)];
    assert_eq!(positions(&log, &shard(0)).await, expected);
    assert_eq!(positions(&log, &shard(1)).await, [position("hr", "d1", 3)]);
    assert_eq!(log.describe(&shard(1)).await.unwrap().last, EntryId::ZERO);
}
