//! Tables of the application whose triggers do things of their own.

use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::{Consumer, event};

use super::{mappings, set, things};

const THINGS: &str = "CREATE TABLE things (id TEXT PRIMARY KEY, a TEXT, b TEXT);";

#[tokio::test]
async fn a_trigger_sees_each_change_in_order() {
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS}
         CREATE TABLE audit (what TEXT);
         CREATE TRIGGER inserted AFTER INSERT ON things
           BEGIN INSERT INTO audit VALUES ('+' || NEW.id || NEW.a); END;
         CREATE TRIGGER updated AFTER UPDATE ON things
           BEGIN INSERT INTO audit VALUES (OLD.a || '>' || NEW.a); END;
         CREATE TRIGGER deleted AFTER DELETE ON things
           BEGIN INSERT INTO audit VALUES ('-' || OLD.id); END;"
    ))
    .await;
    let entries = source.send_all([
        &set("1", r#"{"a":"x"}"#),
        &set("2", r#"{"a":"y"}"#),
        &set("1", r#"{"a":"z"}"#),
        &event("thing.left", "acme", "1", "{}"),
        &set("1", r#"{"a":"w"}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "5 applied");
    let audit = site.rows("SELECT what FROM audit ORDER BY rowid").await;
    assert_eq!(audit, ["+1x", "+2y", "x>z", "-1", "+1w"]);
}

#[tokio::test]
async fn what_a_trigger_aborts_is_parked_alone() {
    for action in ["ABORT", "FAIL"] {
        let (site, mut source, mut consumer) = things(&format!(
            "{THINGS} CREATE TABLE audit (what TEXT);
             CREATE TRIGGER no BEFORE INSERT ON things WHEN NEW.a = 'bad' BEGIN
               INSERT INTO audit VALUES (NEW.id);
               SELECT RAISE ({action}, 'not this one');
             END;"
        ))
        .await;
        let entries = source.send_all([
            &set("1", r#"{"a":"x"}"#),
            &set("2", r#"{"a":"bad"}"#),
            &set("3", r#"{"a":"y"}"#),
        ]);
        assert_eq!(
            consumer.settle(&entries).await,
            "2 applied, 1 dead",
            "{action}"
        );
        assert_eq!(site.rows("SELECT id FROM things").await, ["1", "3"]);
        assert_eq!(site.rows("SELECT * FROM audit").await, [""; 0]);
        let errors = "SELECT error FROM event_tracking WHERE status = 'failed'";
        let errors = site.rows(errors).await;
        assert!(errors[0].contains("not this one"), "{errors:?}");
    }
}

/// An event that is quietly left out would be lost.
#[tokio::test]
async fn what_a_trigger_ignores_is_parked() {
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS} CREATE TRIGGER no BEFORE INSERT ON things WHEN NEW.a = 'bad'
           BEGIN SELECT RAISE (IGNORE); END;"
    ))
    .await;
    let entries = source.send_all([&set("1", r#"{"a":"x"}"#), &set("2", r#"{"a":"bad"}"#)]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 dead");
    assert_eq!(site.rows("SELECT id FROM things").await, ["1"]);
}

/// It would take the rest of the batch with it, and the checkpoint too: nothing is settled.
#[tokio::test]
async fn a_trigger_that_rolls_back_stops_the_mapping() {
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS} CREATE TRIGGER no BEFORE INSERT ON things WHEN NEW.a = 'bad'
           BEGIN SELECT RAISE (ROLLBACK, 'all of it'); END;"
    ))
    .await;
    let entries = source.send_all([
        &set("1", r#"{"a":"x"}"#),
        &set("2", r#"{"a":"bad"}"#),
        &set("3", r#"{"a":"y"}"#),
    ]);
    super::outage::assert_misconfigured(&site, &mut consumer, &entries).await;
    site.execute("DROP TRIGGER no").await.unwrap();
    let mut consumer = Consumer::start(consumer.store, source.feed(), mappings()).await;
    assert_eq!(consumer.settle(&entries).await, "3 applied");
}
