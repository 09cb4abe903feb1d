//! Tables that reach each other by triggers: however batches are cut, as one event after another.

use millstream_core::change::Op;
use millstream_core::mapping::Spec;
use millstream_core::outbox::NewEvent;
use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};
use proptest::prelude::*;

use super::File;

const TABLES: &str = "
    CREATE TABLE a (id TEXT PRIMARY KEY, x TEXT, y TEXT);
    CREATE TABLE b (id TEXT PRIMARY KEY, x TEXT, y TEXT);";

/// A change of `a` changes `b`.
const DIRECT: &str = "
    CREATE TRIGGER made AFTER INSERT ON a BEGIN
      INSERT OR REPLACE INTO b (id, x, y) VALUES (NEW.id, 'made with ' || NEW.x, NULL);
    END;
    CREATE TRIGGER changed AFTER UPDATE ON a BEGIN
      UPDATE b SET x = coalesce(x, '-') || NEW.x WHERE id = NEW.id;
    END;
    CREATE TRIGGER gone AFTER DELETE ON a BEGIN DELETE FROM b WHERE id = OLD.id; END;";

/// The same by way of a view, and of a table that nobody maps.
const BY_A_VIEW: &str = "
    CREATE TABLE passing (id TEXT, x TEXT);
    CREATE VIEW v AS SELECT * FROM passing;
    CREATE TRIGGER changed AFTER INSERT ON a BEGIN INSERT INTO v VALUES (NEW.id, NEW.x); END;
    CREATE TRIGGER updated AFTER UPDATE ON a BEGIN INSERT INTO v VALUES (NEW.id, NEW.x); END;
    CREATE TRIGGER viewed INSTEAD OF INSERT ON v BEGIN
      INSERT INTO passing VALUES (NEW.id, NEW.x);
    END;
    CREATE TRIGGER passed AFTER INSERT ON passing BEGIN
      UPDATE b SET x = coalesce(x, '-') || NEW.x, y = NEW.x WHERE id = NEW.id;
    END;";

/// Something is done to a row, and the number of the event is its value.
#[derive(Debug, Clone, Copy)]
struct Step {
    kind: usize,
    row: u8,
}

const KINDS: [&str; 8] = [
    "a.set", "a.x", "a.left", "b.set", "b.x", "b.y", "b.left", "b.only",
];

impl Step {
    fn event(self, number: usize) -> NewEvent {
        let data = match KINDS[self.kind] {
            "a.x" | "b.x" => format!("{{\"x\":\"{number}\"}}"),
            "b.y" => format!("{{\"y\":\"{number}\"}}"),
            _ => format!("{{\"x\":\"{number}\",\"y\":\"{number}\"}}"),
        };
        let kind = match KINDS[self.kind] {
            "a.x" => "a.set",
            "b.x" | "b.y" => "b.set",
            kind => kind,
        };
        let mut event = event(kind, "acme", &self.row.to_string(), &data);
        // None waits behind another: it is the order of writing that is looked at.
        event.partition_key = millstream_core::name::PartitionKey::new(format!("{number}")).ok();
        event
    }
}

fn mappings() -> Vec<Spec> {
    let (id, set) = (["id = entityId"], ["x = data.x", "y = data.y"]);
    vec![
        spec("a.set", Op::Upsert, "a", &id, &set),
        spec("a.left", Op::Delete, "a", &id, &[]),
        spec("b.set", Op::Upsert, "b", &id, &set),
        spec("b.left", Op::Delete, "b", &id, &[]),
        spec("b.only", Op::Update, "b", &id, &set),
    ]
}

/// The rows of both tables, and how the events ended.
async fn outcome(triggers: &str, steps: &[Step], size: usize) -> Vec<Vec<String>> {
    let site = File::make("").await;
    site.execute(&format!("{TABLES}{triggers}")).await.unwrap();
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let events: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(number, step)| step.event(number))
        .collect();
    for batch in source.send_all(&events).chunks(size) {
        consumer.settle(batch).await;
    }
    let ended = "SELECT event_id, outcome FROM millstream_inbox ORDER BY seq";
    let mut found = Vec::new();
    for query in [
        "SELECT * FROM a ORDER BY id",
        "SELECT * FROM b ORDER BY id",
        ended,
    ] {
        found.push(site.rows(query).await);
    }
    found
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..KINDS.len(), 0..2u8).prop_map(|(kind, row)| Step { kind, row });
    prop::collection::vec(step, 2..9)
}

fn check(triggers: &'static str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in steps())| {
        runtime.block_on(async {
            let expected = outcome(triggers, &steps, 1).await;
            for size in 2..=steps.len() {
                let found = outcome(triggers, &steps, size).await;
                prop_assert_eq!(&found, &expected, "{} in a batch", size);
            }
            Ok(())
        })?;
    });
}

#[test]
fn a_trigger_that_writes_another_mapped_table_sees_it_as_of_its_event() {
    check(DIRECT);
}

#[test]
fn a_trigger_that_writes_it_by_way_of_a_view_does_too() {
    check(BY_A_VIEW);
}
