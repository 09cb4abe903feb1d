//! Columns and triggers that say no to a value, in words that SQLite also uses for a broken schema.

use millstream_testkit::suite::Site;

use super::{set, things};

const COLUMNS: &str = "id TEXT PRIMARY KEY, a TEXT, b TEXT";

async fn assert_parked_alone(tables: &str, bad: &str, word: &str) {
    let (site, mut source, mut consumer) = things(tables).await;
    let entries = source.send_all([
        &set("1", r#"{"a":"{}"}"#),
        &set("2", &format!("{{\"a\":\"{bad}\"}}")),
        &set("3", r#"{"a":"{}"}"#),
        &set("2", r#"{"b":"x"}"#),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "2 applied, 1 blocked, 1 dead", "{tables}");
    assert_eq!(site.rows("SELECT id FROM things").await, ["1", "3"]);
    let errors = "SELECT error FROM event_tracking WHERE status = 'failed' AND event_id LIKE '%-2'";
    let errors = site.rows(errors).await;
    assert!(errors[0].contains(word), "{errors:?}");
}

/// SQLite would round it to the next double, and say nothing.
#[tokio::test]
async fn a_number_that_no_double_holds_is_parked() {
    let tables = "CREATE TABLE things (id TEXT PRIMARY KEY, a DECIMAL(40, 20), b REAL)";
    let (site, mut source, mut consumer) = things(tables).await;
    let entries = source.send_all([
        &set("1", r#"{"a":9223372036854775807,"b":0.1}"#),
        &set("2", r#"{"a":1.50}"#),
        &set("3", r#"{"a":1.10000000000000000001}"#),
        &set("4", r#"{"a":"123456789012345678901234567890"}"#),
        &set("5", r#"{"b":9007199254740993}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "2 applied, 3 dead");
    let found = site.rows("SELECT id, a FROM things").await;
    assert_eq!(found, ["1|9223372036854775807", "2|1.5"]);
    for reason in site.rows("SELECT reason FROM dead_letters").await {
        assert!(
            reason.contains("a number that a double cannot hold"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn a_generated_column_that_cannot_be_computed_parks_the_event() {
    let computed = "GENERATED ALWAYS AS (json_extract(a, '$.x'))";
    for tables in [
        format!("CREATE TABLE things ({COLUMNS}, x TEXT {computed} STORED)"),
        format!(
            "CREATE TABLE things ({COLUMNS}, x TEXT {computed} VIRTUAL);
             CREATE INDEX by_x ON things (x)"
        ),
        format!(
            "CREATE TABLE things ({COLUMNS});
             CREATE INDEX by_x ON things (json_extract(a, '$.x'))"
        ),
    ] {
        assert_parked_alone(&tables, "nope", "malformed JSON").await;
    }
}

#[tokio::test]
async fn a_trigger_that_cannot_compute_parks_the_event() {
    let trigger = |what: &str| {
        format!(
            "CREATE TABLE things ({COLUMNS}); CREATE TABLE audit (what);
             CREATE TRIGGER computes AFTER INSERT ON things
             BEGIN INSERT INTO audit VALUES ({what}); END"
        )
    };
    let json = trigger("json_extract(NEW.a, '$.x')");
    assert_parked_alone(&json, "nope", "malformed JSON").await;
    let overflow = trigger("abs(CASE NEW.a WHEN '{}' THEN 1 ELSE CAST(NEW.a AS INTEGER) END)");
    assert_parked_alone(&overflow, "-9223372036854775808", "integer overflow").await;
}

/// What no event can mend is nobody's fault but the schema's.
#[tokio::test]
async fn a_trigger_that_misses_a_table_stops_the_mapping() {
    let (site, mut source, mut consumer) = things(&format!(
        "CREATE TABLE things ({COLUMNS}); CREATE TABLE audit (what);
         CREATE TRIGGER t AFTER INSERT ON things BEGIN INSERT INTO audit VALUES (NEW.id); END"
    ))
    .await;
    site.execute("DROP TABLE audit").await.unwrap();
    let entries = source.send_all([&set("1", "{}"), &set("2", "{}")]);
    super::outage::assert_misconfigured(&site, &mut consumer, &entries).await;
    site.execute("CREATE TABLE audit (what)").await.unwrap();
    assert_eq!(consumer.settle(&entries).await, "2 applied");
}
