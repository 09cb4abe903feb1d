use millstream_core::change::Op;

use super::{Consumer, Source, event, spec};
use crate::suite::Site;

const TABLE: &str = "
    CREATE TABLE books (
      id VARCHAR(64) NOT NULL PRIMARY KEY, title VARCHAR(64) NOT NULL, pages INTEGER NOT NULL,
      shelf VARCHAR(64), copies INTEGER DEFAULT 1 NOT NULL
    );";

async fn ready_for_books<S: Site>() -> (S, Source, Consumer<S::Handle>) {
    let site = S::make("").await;
    site.execute(TABLE).await.unwrap();
    let source = Source::shard(0);
    let data = [
        "title = data.title",
        "pages = data.pages",
        "shelf = data.shelf",
    ];
    let mappings = vec![
        spec("book.set", Op::Upsert, "books", &["id = entityId"], &data),
        spec("book.lost", Op::Delete, "books", &["id = entityId"], &[]),
    ];
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings).await;
    (site, source, consumer)
}

/// A later event names what changed alone, in its batch or in one of its own.
pub async fn a_part_of_a_row_is_enough_once_it_is_there<S: Site>() {
    for size in [1, 2, 3, 8] {
        let (site, mut source, mut consumer) = ready_for_books::<S>().await;
        let set = |data| event("book.set", "acme", "7", data);
        let entries = source.send_all([
            &set(r#"{"title":"A","pages":1}"#),
            &set(r#"{"title":"B"}"#),
            &set(r#"{"shelf":"x"}"#),
            &set("{}"),
            &set(r#"{"pages":2}"#),
            &event("book.lost", "acme", "7", "{}"),
            &set(r#"{"title":"C","pages":3}"#),
            &set(r#"{"pages":4}"#),
        ]);
        for batch in entries.chunks(size) {
            let all = format!("{} applied", batch.len());
            assert_eq!(consumer.settle(batch).await, all, "{size} in a batch");
        }
        let found = site.rows("SELECT * FROM books").await;
        assert_eq!(found, ["7|C|4|NULL|1"], "{size} in a batch");
    }
}

/// It says what is lacking, by name; columns with a default are not.
pub async fn a_part_of_a_row_makes_none<S: Site>() {
    for size in [1, 7] {
        let (site, mut source, mut consumer) = ready_for_books::<S>().await;
        let set = |id, data| event("book.set", "acme", id, data);
        let entries = source.send_all([
            &set("1", r#"{"title":"A","pages":1}"#),
            &set("2", r#"{"title":"B"}"#),
            &set("3", r#"{"pages":1}"#),
            &set("4", "{}"),
            // Behind what is parked, also if it lacks nothing.
            &set("2", r#"{"title":"B","pages":2}"#),
            &set("5", r#"{"title":"E","pages":null}"#),
            &set("1", r#"{"shelf":"x"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site.rows("SELECT * FROM books").await;
        assert_eq!(found, ["1|A|1|x|1"], "{size} in a batch");
        let failed =
            "SELECT error FROM event_tracking WHERE outcome = 'retrying' ORDER BY event_id";
        let failed = site.rows(failed).await;
        let needs = |column: &str| format!("lacks what a new one needs: {column}");
        assert!(failed[0].ends_with(&needs("pages")), "{failed:?}");
        assert!(failed[1].ends_with(&needs("title")), "{failed:?}");
        assert!(failed[2].ends_with(&needs("title, pages")), "{failed:?}");
    }
}
