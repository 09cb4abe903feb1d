//! Transports that are given the same random operations answer alike.

#[cfg(feature = "redis")]
mod servers;

use std::sync::Arc;

use async_trait::async_trait;

use millstream_core::entry::{EntryId, Shard};
use millstream_core::error::Error;
use millstream_core::log::Log;
use millstream_testkit::differential::{Options, Report, Side, run};
use millstream_testkit::wrapped::{Wrapped, Wrapper};
use millstream_transport::sqlite;

const SEED: u64 = 1;

/// What programs have to reach, or their comparison says little: each operation, with the answers that
/// it may have.
const REACHED: &[(&str, &[&str])] = &[
    ("append", &["added", "mismatch", "invalid"]),
    ("replace", &["added", "mismatch", "invalid"]),
    ("read", &["nothing", "something"]),
    ("trim", &["nothing", "something"]),
    ("publish_position", &["done", "fenced"]),
    ("positions", &["nothing", "something"]),
    ("forget_positions", &["done"]),
    ("describe", &["nothing", "something"]),
    ("announce", &["done"]),
    ("publishers", &["nothing", "something"]),
    ("acknowledge", &["done"]),
    ("acknowledgments", &["nothing", "something"]),
    ("add", &["done"]),
    ("read_group", &["nothing", "something"]),
    ("claim", &["nothing", "something", "more", "gone"]),
    ("history", &["nothing", "something", "more", "gone"]),
    ("ack", &["nothing", "something"]),
    ("pending", &["nothing", "something"]),
    ("range", &["nothing", "something"]),
    ("describe_shared", &["nothing", "something"]),
    ("groups", &["nothing", "something"]),
    ("consumers", &["nothing", "something"]),
    ("forget_consumer", &["nothing", "something"]),
    ("trim_shared", &["nothing", "something"]),
];

fn check_reached(report: &Report) {
    for (operation, answers) in REACHED {
        for answer in *answers {
            let kind = (*operation, *answer);
            assert!(
                report.answers.contains_key(&kind),
                "no {kind:?} in {report}"
            );
        }
    }
}

fn options(operations: usize) -> Options {
    Options {
        seed: SEED,
        operations,
        length: 100,
        at_once: 8,
    }
}

async fn memory() -> sqlite::Transport {
    sqlite::Transport::connect(sqlite::Options::memory())
        .await
        .unwrap()
}

/// The embedded log agrees with itself, in memory and in a file, without any exception.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_a_file_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = sqlite::Options::file(folder.path().join("events.db"));
    let file = sqlite::Transport::connect(file).await.unwrap();
    let (left, right) = (Side::new("memory", memory().await), Side::new("file", file));
    let report = run(&left, &right, &[], options(10_000))
        .await
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.operations, 10_000);
    check_reached(&report);
}

/// Trims one entry too many.
#[derive(Debug)]
struct Greedy(sqlite::Transport);

#[async_trait]
impl Wrapper for Greedy {
    fn log(&self) -> &dyn Log {
        &self.0
    }

    async fn trim(&self, shard: &Shard, floor: EntryId) -> Result<u64, Error> {
        let beyond = EntryId::new(floor.high, floor.low.saturating_add(1));
        self.0.trim(shard, beyond).await
    }
}

/// What differs is found, and shown by as few operations as it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_defect_is_found_and_shown_by_a_short_program() {
    let greedy = memory().await;
    let right = Side::of(
        "greedy",
        Arc::new(Wrapped(Greedy(greedy.clone()))),
        Arc::new(greedy),
    );
    let left = Side::new("memory", memory().await);
    let failure = run(&left, &right, &[], options(10_000)).await.unwrap_err();
    let text = failure.to_string();
    let lines: Vec<_> = text.lines().collect();
    let [title, append, trim, one, other] = lines[..] else {
        panic!("not two operations and two answers:\n{text}");
    };
    assert!(title.starts_with("seed 1, program "), "{text}");
    assert!(
        append.contains("Append") || append.contains("Replace"),
        "{text}"
    );
    assert!(trim.contains("Trim"), "{text}");
    assert!(one.starts_with("memory: Count("), "{text}");
    assert!(other.starts_with("greedy: Count("), "{text}");
}
