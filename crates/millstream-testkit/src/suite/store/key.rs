use super::{event, ready};
use crate::suite::Site;

/// Case and blanks make another row, another key, another tenant.
pub async fn ids_are_compared_byte_for_byte<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let ids = [
        "a", "A", "a ", " a", "ä", "Ä", "a\u{308}", "ß", "ss", "1", "01", "1.0",
    ];
    let mut events = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        events.push(event("person.set", "acme", id, &format!("{{\"age\":{n}}}")));
        events.push(event(
            "person.set",
            &format!("t{id}"),
            "7",
            &format!("{{\"age\":{n}}}"),
        ));
    }
    let entries = source.send_all(&events);
    assert_eq!(
        consumer.settle(&entries).await,
        format!("{} applied", 2 * ids.len())
    );
    for column in ["id", "tenant_id"] {
        let sql = format!("SELECT count(DISTINCT {column}) FROM people");
        assert_eq!(site.rows(&sql).await, [(ids.len() + 1).to_string()]);
    }
    // One of them fails: the others are other keys.
    let mut events = vec![event("person.set", "acme", "a", r#"{"age":"old"}"#)];
    events.extend(ids.iter().map(|id| event("person.left", "acme", id, "{}")));
    let entries = source.send_all(&events);
    let expected = format!("{} applied, 1 blocked, 1 dead", ids.len() - 1);
    assert_eq!(consumer.settle(&entries).await, expected);
    let left = "SELECT id, age FROM people WHERE tenant_id = 'acme'";
    assert_eq!(site.rows(left).await, ["a|0"]);
}

/// The tenant is part of every key, in one batch too.
pub async fn tenants_share_ids<S: Site>() {
    for size in [1, 6] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let entries = source.send_all([
            &event("person.set", "acme", "7", r#"{"name":"Ada","age":1}"#),
            &event("person.set", "globex", "7", r#"{"name":"Bob","age":2}"#),
            &event("person.set", "acme", "7", r#"{"name":"Ada II"}"#),
            &event("person.set", "initech", "7", r#"{"name":"Eve"}"#),
            &event("person.left", "initech", "7", "{}"),
            &event("person.renamed", "globex", "7", r#"{"name":"Bob II"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site
            .rows("SELECT tenant_id, id, name, age FROM people ORDER BY 1")
            .await;
        assert_eq!(found, ["acme|7|Ada II|1", "globex|7|Bob II|2"]);
    }
}

/// Each membership is a row of its own: to be in one department does not end another.
pub async fn a_person_has_two_departments<S: Site>() {
    for size in [1, 2, 6] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let entries = source.send_all([
            &event(
                "member.set",
                "acme",
                "7",
                r#"{"department":"d1","since":"2020"}"#,
            ),
            &event(
                "member.set",
                "acme",
                "7",
                r#"{"department":"d2","since":"2021"}"#,
            ),
            &event(
                "member.set",
                "acme",
                "7",
                r#"{"department":"d3","since":"2022"}"#,
            ),
            &event("member.removed", "acme", "7", r#"{"department":"d2"}"#),
            &event(
                "member.set",
                "acme",
                "7",
                r#"{"department":"d1","since":"2023"}"#,
            ),
            &event("member.removed", "globex", "7", r#"{"department":"d1"}"#),
        ]);
        for batch in entries.chunks(size) {
            consumer.settle(batch).await;
        }
        let found = site
            .rows("SELECT department, since FROM memberships ORDER BY 1")
            .await;
        assert_eq!(found, ["d1|2023", "d3|2022"]);
    }
}
