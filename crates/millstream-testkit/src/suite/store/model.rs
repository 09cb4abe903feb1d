use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use millstream_core::entry::Entry;
use millstream_core::error::{Error, ErrorKind};
use millstream_core::lease::Feed;
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
            match consumer.apply_batch(&batch).await {
                Err(error) if error.kind() == ErrorKind::Fenced => {}
                // It died meanwhile, or whoever asks it is told that it did not.
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
                again => panic!("a batch that is applied again is fenced, not {again:?}"),
            }
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
    model::check_some(
        S::CASES,
        programs,
        async {},
        |(), _, (steps, cuts, statements)| async move {
            let mut source = if owned {
                Source::shard(0)
            } else {
                Source::shared()
            };
            let entries: Arc<[Entry]> = steps.iter().map(|step| step.send(&mut source)).collect();
            let found = after_a_crash::<S>(&source, &entries, &cuts, statements).await?;
            prop_assert_eq!(found, Plain::after(&steps, owned).rows(&entries));
            Ok(())
        },
    );
}

/// The same where generations follow each other, each of which brings again what came last, with or
/// without anything new, and whether or not the consumer has seen it.
pub fn generations_agree_with_a_model<S: Site>() {
    let again = prop::collection::vec((0..12usize, 0..30usize), 1..4);
    let programs = (steps(1..40), again, cuts(), 0..500u64);
    model::check_some(
        S::CASES,
        programs,
        async {},
        |(), _, (steps, again, cuts, statements)| async move {
            let mut source = Source::shard(0);
            let (mut entries, mut sent) = (Vec::new(), Vec::new());
            let mut left = steps.iter();
            for (new, repeats) in again.into_iter().chain([(steps.len(), 0)]) {
                for step in left.by_ref().take(new) {
                    let entry = step.send(&mut source);
                    entries.push(entry.clone());
                    sent.push(entry);
                }
                if left.len() > 0 {
                    source.begin_generation();
                    let from = sent.len().saturating_sub(repeats);
                    entries.extend(sent[from..].iter().map(|entry| source.send_again(entry)));
                }
            }
            let found = after_a_crash::<S>(&source, &entries, &cuts, statements).await?;
            prop_assert_eq!(found, Plain::after(&steps, true).rows(&sent));
            Ok(())
        },
    );
}

/// What a database holds after one process has applied entries until it died, and another the rest.
async fn after_a_crash<S: Site>(
    source: &Source,
    entries: &[Entry],
    cuts: &[Cut],
    statements: u64,
) -> Result<[Vec<String>; 5], TestCaseError> {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let mortal = site.connect_mortal(statements).await;
    // What a dying process sees is nobody's business.
    let (mortal, driven) = match Consumer::try_start(mortal, source.feed(), mappings()).await {
        Ok(mut first) => {
            let driven = drive_feed(&mut first, entries, cuts).await;
            (first.store, driven)
        }
        Err((mortal, error)) => (mortal, Err(error)),
    };
    let died = site.bury(mortal).await;
    prop_assert!(died || driven.is_ok());

    let mut next = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let driven = drive_feed(&mut next, entries, cuts).await;
    prop_assert!(driven.is_ok(), "{:?}", driven);
    Ok(Plain::rows_of(&site).await)
}

async fn drive_feed<H: Store>(
    consumer: &mut Consumer<H>,
    entries: &[Entry],
    cuts: &[Cut],
) -> Result<(), Error> {
    match consumer.lease.feed {
        Feed::Owned(_) => drive(consumer, entries, cuts).await,
        Feed::Shared(_) => drive_shared(consumer, entries, cuts).await,
    }
}
