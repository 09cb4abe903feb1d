//! Foreign keys that only the commit looks at.

use millstream_core::change::Op;
use millstream_core::entry::{Entry, EntryId};
use millstream_core::mapping::Spec;
use millstream_core::outbox::NewEvent;
use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

use super::File;

const TABLES: &str = "
    CREATE TABLE parents (id TEXT PRIMARY KEY);
    CREATE TABLE children (
      id TEXT PRIMARY KEY,
      parent TEXT REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
    );
    CREATE TABLE accounts (tenant_id TEXT, id TEXT, balance INTEGER, PRIMARY KEY (tenant_id, id));
    INSERT INTO accounts VALUES ('acme', '7', 0);";

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    vec![
        spec("parent.made", Op::Upsert, "parents", &id, &[]),
        spec(
            "child.set",
            Op::Upsert,
            "children",
            &id,
            &["parent = data.parent"],
        ),
    ]
}

fn child(id: &str, parent: &str) -> NewEvent {
    event(
        "child.set",
        "acme",
        id,
        &format!("{{\"parent\":\"{parent}\"}}"),
    )
}

/// Twenty events: two orphans (the 4th and the 13th), three of their keys behind them, which find no
/// parent either, and fifteen good ones.
fn events() -> Vec<NewEvent> {
    let credit = || event("account.credited", "acme", "7", r#"{"amount":1}"#);
    vec![
        credit(),
        event("parent.made", "acme", "p", "{}"),
        child("a", "p"),
        child("orphan1", "nobody"),
        credit(),
        child("b", "p"),
        child("orphan1", "nobody else"),
        child("c", "p"),
        // Its parent comes later: a deferred key allows that.
        child("early", "q"),
        event("parent.made", "acme", "q", "{}"),
        credit(),
        child("d", "q"),
        child("orphan2", "nobody"),
        credit(),
        child("orphan2", "nobody"),
        child("e", "q"),
        child("orphan1", "nobody"),
        child("a", "q"),
        credit(),
        child("f", "p"),
    ]
}

async fn ready(
    mut source: Source,
) -> (File, Vec<Entry>, Consumer<millstream_sql::sqlite::Database>) {
    let site = File::make("").await;
    site.execute(TABLES).await.unwrap();
    let entries = source.send_all(&events());
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, entries, consumer)
}

async fn assert_orphans_wait(site: &File) {
    let ended = "SELECT substr(event_id, instr(event_id, '-') + 1), outcome
                 FROM millstream_inbox WHERE outcome <> 'applied' ORDER BY seq";
    let ended: Vec<_> = site
        .rows(ended)
        .await
        .iter()
        .map(|row| row.trim_start_matches("0-").to_owned())
        .collect();
    let expected = [
        "4|retrying",
        "7|blocked",
        "13|retrying",
        "15|blocked",
        "17|blocked",
    ];
    assert_eq!(ended, expected);
    let children = site
        .rows("SELECT id, parent FROM children ORDER BY 1")
        .await;
    let expected = ["a|q", "b|p", "c|p", "d|q", "e|q", "early|q", "f|p"];
    assert_eq!(children, expected);
    // What code did was done once, though the batch was begun many times.
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["5"]);
    let reasons = site
        .rows("SELECT DISTINCT error FROM event_tracking WHERE outcome = 'retrying'")
        .await;
    assert!(
        reasons.iter().any(|reason| reason.contains("FOREIGN KEY")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn orphans_are_parked_alone_and_the_checkpoint_moves_to_the_end() {
    let (site, entries, mut consumer) = ready(Source::shard(0)).await;
    assert_eq!(entries.len(), 20);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "15 applied, 2 retrying, 3 blocked");
    assert_orphans_wait(&site).await;
    let at = "SELECT generation, seq, event_id FROM millstream_shards WHERE role = 'consumer'";
    assert_eq!(site.rows(at).await, ["1|20|crm-0-20"]);
    // It is settled for good, and its connection goes on.
    assert!(consumer.apply(&entries).await.is_err());
    assert_orphans_wait(&site).await;
}

/// Its entries come in any order, and again.
#[tokio::test]
async fn orphans_of_the_shared_stream_are_parked_alone() {
    let (site, entries, mut consumer) = ready(Source::shared()).await;
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "15 applied, 2 retrying, 3 blocked");
    assert_orphans_wait(&site).await;
    assert_eq!(consumer.settle(&entries).await, "20 repeated");
    assert_orphans_wait(&site).await;
    assert_eq!(consumer.at.at, EntryId::new(1, 20));
}

/// An orphan is found as well beside an event that fails at once.
#[tokio::test]
async fn an_orphan_and_a_failing_handler_are_parked_both() {
    let (site, _, _) = ready(Source::shard(0)).await;
    let mut source = Source::shard(1);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    let entries = source.send_all([
        &event("account.credited", "acme", "7", r#"{"amount":1}"#),
        &event("account.credited", "acme", "nobody", r#"{"amount":1}"#),
        &event("parent.made", "acme", "p", "{}"),
        &child("orphan", "nobody"),
        &child("a", "p"),
        &event("account.credited", "acme", "7", r#"{"amount":1}"#),
    ]);
    assert_eq!(
        consumer.settle(&entries).await,
        "4 applied, 1 retrying, 1 dead"
    );
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["2"]);
    assert_eq!(site.rows("SELECT id FROM children").await, ["a"]);
}
