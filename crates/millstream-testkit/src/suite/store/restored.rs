use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use millstream_core::error::ErrorKind;

use super::model::{Cut, drive};
use super::plain::{Plain, steps};
use super::{Consumer, mappings, ready};
use crate::suite::Site;

const EVENTS: usize = 200;

/// Everything after the copy was applied, and the copy knows nothing of it: it is applied again, in
/// other batches, and nothing has two effects.
pub async fn a_restored_database_catches_up<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let mut runner = TestRunner::deterministic();
    let steps = steps(EVENTS).new_tree(&mut runner);
    let steps = steps.expect("steps are made").current();
    let entries: Vec<_> = steps.iter().map(|step| step.send(&mut source)).collect();
    let expected = Plain::after(&steps, true).rows(&entries);

    let (earlier, later) = entries.split_at(EVENTS / 2);
    let cut = |size| [Cut { size, repeat: 0 }];
    drive(&mut consumer, earlier, &cut(10)).await.unwrap();
    let (at, epoch) = (consumer.at.clone(), consumer.lease.epoch);
    let copy = site.back_up().await;
    drive(&mut consumer, &entries, &cut(10)).await.unwrap();
    assert_eq!(Plain::rows_of(&site).await, expected);

    site.restore(&copy).await;
    assert_eq!(
        Plain::rows_of(&site).await,
        Plain::after(&steps[..EVENTS / 2], true).rows(earlier)
    );
    // Its lease is in the copy too, but what it knows is not.
    let batch = consumer.batch(&later[..1]);
    let mut error = consumer.apply_batch(&batch).await.unwrap_err();
    if error.kind() == ErrorKind::Unavailable {
        // It has to notice first that its connection is gone.
        error = consumer.apply_batch(&batch).await.unwrap_err();
    }
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");

    let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    assert_eq!((&next.at, next.lease.epoch), (&at, epoch + 1));
    drive(&mut next, &entries, &cut(7)).await.unwrap();
    assert_eq!(Plain::rows_of(&site).await, expected);
}
