use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::model::{Cut, drive};
use super::plain::{Plain, steps};
use super::{Consumer, Source, TABLES, mappings};
use crate::suite::Site;

/// Enough for each sort of event, and for keys that are parked in an earlier batch.
const EVENTS: usize = 50;

const CUTS: [Cut; 2] = [Cut { size: 9, repeat: 0 }, Cut { size: 4, repeat: 0 }];

/// A process dies before each statement that applying fifty events takes, or before each of a part of
/// them, one run for each: the next one goes on from the checkpoint, and everything ends as if nothing
/// had happened.
pub async fn death_at_any_statement_changes_nothing<S: Site>() {
    let mut runner = TestRunner::deterministic();
    let steps = steps(EVENTS)
        .new_tree(&mut runner)
        .expect("steps are made")
        .current();
    let mut source = Source::shard(0);
    let entries: Vec<_> = steps.iter().map(|step| step.send(&mut source)).collect();
    let expected = Plain::after(&steps, true).rows(&entries);

    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = S::make("").await;
        site.execute(TABLES).await.unwrap();
        let mortal = site.connect_mortal(statements).await;
        let (mortal, driven) = match Consumer::try_start(mortal, source.feed(), mappings()).await {
            Ok(mut first) => {
                let driven = drive(&mut first, &entries, &CUTS).await;
                (first.store, driven)
            }
            Err((mortal, error)) => (mortal, Err(error)),
        };
        alive = !site.bury(mortal).await;
        assert!(!alive || driven.is_ok(), "{driven:?}");

        let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
        drive(&mut next, &entries, &CUTS).await.expect("it goes on");
        assert_eq!(
            Plain::rows_of(&site).await,
            expected,
            "before statement {statements}"
        );
        statements += S::STRIDE;
    }
    assert!(
        statements > EVENTS as u64,
        "there were statements to die before"
    );
}
