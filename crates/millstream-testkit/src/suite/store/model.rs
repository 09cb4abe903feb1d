use std::sync::Arc;

use proptest::prelude::*;

use millstream_core::entry::Entry;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::store::Store;

use super::plain::{Plain, steps};
use super::{Consumer, Source, TABLES, mappings};
use crate::suite::{Site, model};

/// Entries of one batch, and what happens to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) size: usize,
    /// How many earlier entries are delivered again before it, or whether it is applied again.
    pub(super) repeat: usize,
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let cut = (1..12usize, prop_oneof![2 => Just(0), 1 => 1..9usize])
        .prop_map(|(size, repeat)| Cut { size, repeat });
    prop::collection::vec(cut, 1..8)
}

/// Applies what is above the checkpoint, batch by batch.
pub(super) async fn drive<H: Store>(
    consumer: &mut Consumer<H>,
    entries: &[Entry],
    cuts: &[Cut],
) -> Result<(), Error> {
    let mut done = entries
        .iter()
        .take_while(|entry| entry.id <= consumer.at.at)
        .count();
    for cut in cuts.iter().cycle() {
        let batch = &entries[done..(done + cut.size).min(entries.len())];
        if batch.is_empty() {
            break;
        }
        done += batch.len();
        let batch = consumer.batch(batch);
        consumer.apply_batch(&batch).await?;
        consumer.at = batch.to.clone();
        if cut.repeat > 0 {
            let again = consumer
                .apply_batch(&batch)
                .await
                .map_err(|error| error.kind());
            assert_eq!(again, Err(ErrorKind::Fenced));
        }
    }
    Ok(())
}

/// The same for the shared stream from its beginning: the inbox knows what was applied.
async fn drive_shared<H: Store>(
    consumer: &mut Consumer<H>,
    entries: &[Entry],
    cuts: &[Cut],
) -> Result<(), Error> {
    let mut done = 0;
    for cut in cuts.iter().cycle() {
        let next = (done + cut.size).min(entries.len());
        if done == next {
            break;
        }
        consumer
            .apply(&entries[done.saturating_sub(cut.repeat)..next])
            .await?;
        done = next;
    }
    Ok(())
}

/// Any events in any batches, with a crash between any two statements: the same rows, the same
/// endings and every effect of a handler once, as one event after another would give.
pub fn agrees_with_a_model<S: Site>() {
    check::<S>(true);
}

/// The same where entries are delivered again and again, and all of them after the crash.
pub fn the_shared_stream_agrees_with_a_model<S: Site>() {
    check::<S>(false);
}

fn check<S: Site>(owned: bool) {
    let programs = (steps(1..40), cuts(), 0..400u64);
    model::check(
        programs,
        async {},
        |(), _, (steps, cuts, statements)| async move {
            let site = S::make("").await;
            site.execute(TABLES).await.unwrap();
            let mut source = if owned {
                Source::shard(0)
            } else {
                Source::shared()
            };
            let entries: Arc<[Entry]> = steps.iter().map(|step| step.send(&mut source)).collect();

            let mortal = site.connect_mortal(statements).await;
            // What a dying process sees is nobody's business.
            let mut first = Consumer::start(mortal, source.feed(), mappings()).await;
            let driven = if owned {
                drive(&mut first, &entries, &cuts).await
            } else {
                drive_shared(&mut first, &entries, &cuts).await
            };
            let died = site.bury(first.store).await;
            prop_assert!(died || driven.is_ok());

            let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
            let driven = if owned {
                drive(&mut next, &entries, &cuts).await
            } else {
                drive_shared(&mut next, &entries, &cuts).await
            };
            prop_assert!(driven.is_ok(), "{:?}", driven);
            let expected = Plain::after(&steps, owned).rows(&entries);
            prop_assert_eq!(Plain::rows_of(&site).await, expected);
            Ok(())
        },
    );
}
