use super::{event, ready};
use crate::suite::Site;

/// A missing member leaves its column alone, a null writes NULL, in one batch as in many.
pub async fn what_an_event_lacks_is_left_alone<S: Site>() {
    let data = [
        r#"{"name":"Ada","email":"a@x"}"#,
        r#"{"age":36}"#,
        r#"{"email":null}"#,
        r#"{"name":"Ada L."}"#,
        "{}",
        r#"{"age":null,"email":"b@x"}"#,
        r#"{"age":37}"#,
    ];
    for size in [1, 2, 7] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let events: Vec<_> = data
            .iter()
            .map(|data| event("person.set", "acme", "7", data))
            .collect();
        for batch in source.send_all(&events).chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site.rows("SELECT * FROM people").await;
        assert_eq!(found, ["acme|7|Ada L.|b@x|37"], "{size} in a batch");
    }
}

/// It makes none.
pub async fn an_update_finds_its_row_or_fails<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("person.set", "acme", "7", r#"{"name":"Ada","age":36}"#),
        &event("person.renamed", "acme", "7", r#"{"name":"Ada L."}"#),
        &event("person.renamed", "acme", "8", r#"{"name":"Nobody"}"#),
        &event("person.renamed", "globex", "7", r#"{"name":"Nobody"}"#),
        // A value that stays the same is found too.
        &event("person.renamed", "acme", "7", r#"{"name":"Ada L."}"#),
        &event("person.renamed", "acme", "7", "{}"),
    ]);
    assert_eq!(consumer.settle(&entries).await, "4 applied, 2 retrying");
    let again = [source.send(&event(
        "person.renamed",
        "acme",
        "7",
        r#"{"name":"Ada L."}"#,
    ))];
    assert_eq!(consumer.settle(&again).await, "1 applied");
    assert_eq!(
        site.rows("SELECT * FROM people").await,
        ["acme|7|Ada L.|NULL|36"]
    );
}

/// And may come again, and be followed by a new row.
pub async fn a_delete_removes_its_row_if_it_is_there<S: Site>() {
    for size in [1, 6] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let entries = source.send_all([
            &event("person.left", "acme", "7", "{}"),
            &event("person.set", "acme", "7", r#"{"name":"Ada","age":36}"#),
            &event("person.set", "acme", "8", r#"{"name":"Bob"}"#),
            &event("person.left", "acme", "7", "{}"),
            &event("person.left", "acme", "8", "{}"),
            &event("person.set", "acme", "7", r#"{"name":"Ada II"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site.rows("SELECT * FROM people").await;
        assert_eq!(found, ["acme|7|Ada II|NULL|NULL"], "{size} in a batch");
    }
}

/// Nothing is ordered by time: the clock may stand still, or go back.
pub async fn events_of_one_instant_keep_their_order<S: Site>() {
    for size in [1, 3, 10] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let mut events = Vec::new();
        for n in 0..10 {
            let mut set = event("person.set", "acme", "7", &format!("{{\"age\":{n}}}"));
            let year = if n < 5 { 2026 } else { 1999 };
            set.timestamp = Some(format!("{year}-01-01T00:00:00Z"));
            events.push(set);
        }
        for batch in source.send_all(&events).chunks(size) {
            consumer.settle(batch).await;
        }
        assert_eq!(site.rows("SELECT age FROM people").await, ["9"]);
    }
}

/// In rows, in the inbox, in dead letters.
pub async fn names_of_any_script_come_back<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let names = [
        "Łukasz Żółć",
        "名前",
        "O'Brien; DROP TABLE people",
        "🦀",
        "\"%_\\",
        "A\u{301}",
        "Á",
    ];
    for name in names {
        let data = named(name);
        let entries = source.send_all([&event("person.set", name, name, &data)]);
        assert_eq!(consumer.settle(&entries).await, "1 applied");
    }
    let found = site.rows("SELECT tenant_id, id, name FROM people").await;
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| format!("{name}|{name}|{name}"))
        .collect();
    let mut sorted = found.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    let mut tracked = site
        .rows("SELECT tenant_id, entity_id, tenant_id FROM event_tracking")
        .await;
    tracked.sort();
    assert_eq!(tracked, expected);
}

/// `{"name": …}`, where the text has nothing that JSON escapes but quotes and backslashes.
fn named(name: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"name\":\"{escaped}\"}}")
}

/// In the transaction of the event, and in the order of the mappings.
pub async fn one_event_writes_several_tables<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("person.set", "acme", "7", r#"{"name":"Ada"}"#),
        &event(
            "member.set",
            "acme",
            "7",
            r#"{"department":"d1","since":"2020"}"#,
        ),
        &event(
            "member.set",
            "acme",
            "8",
            r#"{"department":"d1","since":"2021"}"#,
        ),
        &event("person.left", "acme", "7", "{}"),
        &event(
            "member.set",
            "acme",
            "7",
            r#"{"department":"d2","since":"2022"}"#,
        ),
    ]);
    assert_eq!(consumer.settle(&entries).await, "5 applied");
    assert_eq!(site.rows("SELECT * FROM people").await, [""; 0]);
    let found = site.rows("SELECT * FROM memberships ORDER BY person").await;
    assert_eq!(found, ["acme|7|d2|2022", "acme|8|d1|2021"]);
}
