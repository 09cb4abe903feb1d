//! Tables of the application whose triggers do things of their own.

use millstream_core::store::Store as _;
use millstream_testkit::suite::Site as _;

use super::{set, things};

const THINGS: &str = "CREATE TABLE things (id text PRIMARY KEY, a text, b text);";

/// Each change is seen, in its order: rows of a batch are not folded where a trigger looks at them.
#[tokio::test]
async fn a_trigger_sees_each_change_in_order() {
    for size in [1, 4] {
        let (site, mut source, mut consumer) = things(&format!(
            "{THINGS}
             CREATE TABLE audit (number serial, what text);
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
               INSERT INTO audit (what) VALUES (concat(OLD.a, '>', NEW.a));
               RETURN NULL;
             END $$;
             CREATE TRIGGER note AFTER INSERT OR UPDATE ON things
               FOR EACH ROW EXECUTE FUNCTION note()"
        ))
        .await;
        let entries = source.send_all([
            &set("1", r#"{"a":"x"}"#),
            &set("2", r#"{"a":"y"}"#),
            &set("1", r#"{"a":"z"}"#),
            &set("1", r#"{"a":"w"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let audit = site.rows("SELECT what FROM audit ORDER BY number").await;
        assert_eq!(audit, [">x", ">y", "x>z", "z>w"], "{size} in a batch");
    }
}

/// What it writes to is not ours to follow: where a trigger is, no table stands alone, but for ours.
#[tokio::test]
async fn where_a_trigger_is_no_table_stands_alone() {
    let (site, ..) = things(&format!("{THINGS} CREATE TABLE others (id text)")).await;
    let store = site.connect().await;
    let related = async || {
        let tables = store.tables(&["things".into()]).await.unwrap();
        tables[0].as_ref().unwrap().related
    };
    assert!(!related().await, "our own triggers are of our own tables");
    site.execute(
        "CREATE FUNCTION empty() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN DELETE FROM things; RETURN NULL; END $$;
         CREATE TRIGGER empty AFTER INSERT ON others EXECUTE FUNCTION empty()",
    )
    .await
    .unwrap();
    assert!(related().await);
}

#[tokio::test]
async fn what_a_trigger_refuses_is_parked_alone() {
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS} CREATE TABLE audit (what text);
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
           INSERT INTO audit VALUES (NEW.id);
           IF NEW.a = 'hunter2' THEN RAISE EXCEPTION 'not %', NEW.a; END IF;
           RETURN NEW;
         END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION refuse()"
    ))
    .await;
    let entries = source.send_all([
        &set("1", r#"{"a":"x"}"#),
        &set("2", r#"{"a":"hunter2"}"#),
        &set("3", r#"{"a":"y"}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "2 applied, 1 dead");
    assert_eq!(site.rows("SELECT id FROM things").await, ["1", "3"]);
    assert_eq!(site.rows("SELECT what FROM audit").await, ["1", "3"]);
    let reason = site.rows("SELECT reason FROM dead_letters").await.remove(0);
    assert!(
        reason.contains("a function in the database refuses it"),
        "{reason}"
    );
    assert!(!reason.contains("hunter2"), "{reason}");
}

/// An event that is quietly left out would be lost.
#[tokio::test]
async fn what_a_trigger_ignores_is_parked() {
    let (site, mut source, mut consumer) = things(&format!(
        "{THINGS}
         CREATE FUNCTION ignore() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.a = 'bad' THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER ignore BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION ignore()"
    ))
    .await;
    let entries = source.send_all([&set("1", r#"{"a":"x"}"#), &set("2", r#"{"a":"bad"}"#)]);
    assert_eq!(consumer.settle(&entries).await, "1 applied, 1 dead");
    assert_eq!(site.rows("SELECT id FROM things").await, ["1"]);
}
