use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use millstream_core::entry::Shard;
use millstream_core::lease::{Checkpoint, Feed, Heartbeat, LeaseRow, Role};
use millstream_core::name::{AppName, InstanceId, StreamName};

use super::*;

fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).unwrap()
}

fn unit(number: u16, owner: Option<&str>) -> Unit {
    vec![LeaseRow {
        feed: Feed::Owned(Shard {
            stream: StreamName::new("s").unwrap(),
            owner: AppName::new("crm").unwrap(),
            number,
        }),
        epoch: 1,
        owner: owner.map(instance),
        checkpoint: Checkpoint::default(),
    }]
}

fn living(names: &[&str]) -> BTreeSet<InstanceId> {
    names.iter().map(|name| instance(name)).collect()
}

/// Lets the instances decide in turn until nobody wants anything, and counts what each holds.
fn rounds(units: &mut [Unit], names: &[&str]) -> Vec<usize> {
    for _ in 0..10 {
        for name in names {
            let me = instance(name);
            let held = |unit: &Unit| unit[0].owner.as_ref() == Some(&me);
            let decision = decide(&me, &living(names), units, held);
            decision
                .release
                .iter()
                .for_each(|&unit| units[unit][0].owner = None);
            decision
                .acquire
                .iter()
                .for_each(|&unit| units[unit][0].owner = Some(me.clone()));
        }
    }
    let held_by = |name: &&str| {
        units
            .iter()
            .filter(|unit| unit[0].owner == Some(instance(name)))
            .count()
    };
    names.iter().map(held_by).collect()
}

#[test]
fn feeds_are_shared_evenly() {
    let mut units: Vec<Unit> = (0..5).map(|number| unit(number, None)).collect();
    assert_eq!(rounds(&mut units, &["a"]), [5]);
    assert_eq!(rounds(&mut units, &["a", "b"]), [3, 2]);
    assert_eq!(rounds(&mut units, &["a", "b", "c"]), [2, 2, 1]);
    assert_eq!(rounds(&mut units, &["b", "c"]), [3, 2], "a died");
    assert_eq!(
        rounds(&mut units, &["b", "c", "d", "e", "f", "g"]),
        [1, 1, 1, 1, 1, 0]
    );
}

#[test]
fn a_living_owner_is_not_robbed() {
    let units = [unit(0, Some("b")), unit(1, Some("b"))];
    let decision = decide(&instance("a"), &living(&["a", "b"]), &units, |_| false);
    assert_eq!(decision, Decision::default());
}

#[test]
fn what_was_lost_is_given_up_and_takes_no_part_of_the_share() {
    // As after a pause that was longer than the lease: `a` still works on what `b` has taken.
    let units = [
        unit(0, Some("b")),
        unit(1, Some("a")),
        unit(2, None),
        unit(3, Some("b")),
    ];
    let works_on = |unit: &Unit| matches!(&unit[0].feed, Feed::Owned(shard) if shard.number < 2);
    let decision = decide(&instance("a"), &living(&["a", "b"]), &units, works_on);
    let expected = Decision {
        acquire: vec![2],
        release: vec![0],
    };
    assert_eq!(decision, expected);
}

#[test]
fn what_is_in_our_name_is_taken_beyond_our_share() {
    // As after a fail-over to a database that has not heard of `b` yet, which worked on the last two.
    let mut units: Vec<Unit> = (0..4).map(|number| unit(number, Some("a"))).collect();
    let works_on = |unit: &Unit| matches!(&unit[0].feed, Feed::Owned(shard) if shard.number < 2);
    let decision = decide(&instance("a"), &living(&["a", "b"]), &units, works_on);
    let expected = Decision {
        acquire: vec![2, 3],
        release: vec![],
    };
    assert_eq!(decision, expected);
    assert_eq!(rounds(&mut units, &["a", "b"]), [2, 2]);
}

#[test]
fn what_nobody_owns_is_not_worked_on() {
    // As after a restore of the database: the rows are older than the task.
    let units = [unit(0, None)];
    let decision = decide(&instance("a"), &living(&["a"]), &units, |_| true);
    assert_eq!(decision.release, [0]);
}

fn beat(name: &str, count: u64) -> Heartbeat {
    Heartbeat {
        instance: instance(name),
        role: Role::Consumer,
        count,
    }
}

#[tokio::test(start_paused = true)]
async fn silence_counts_only_while_we_could_write() {
    let lease = Duration::from_secs(10);
    let step = Duration::from_secs(2);
    let mut liveness = Liveness::new(instance("a"), lease);
    for tick in 0..5 {
        liveness.observe(&[beat("a", tick), beat("b", 7)], Instant::now());
        tokio::time::advance(step).await;
    }
    assert!(liveness.dead().is_empty(), "8 s of silence");

    liveness.interrupted();
    tokio::time::advance(lease * 10).await;
    liveness.observe(&[beat("a", 6), beat("b", 7)], Instant::now());
    assert!(liveness.dead().is_empty(), "we could not write either");

    tokio::time::advance(step).await;
    liveness.observe(&[beat("a", 7), beat("b", 7)], Instant::now());
    assert_eq!(liveness.dead(), [instance("b")]);

    liveness.observe(&[beat("a", 8), beat("b", 8)], Instant::now());
    assert!(liveness.dead().is_empty(), "it was only slow");
}
