use millstream_core::capture::{Capture as _, Source};
use serde_json::json;

use super::steps::{PEOPLE, events, people, ready, told};
use crate::suite::Site;

/// Rows that one statement changes at once.
const MANY: usize = 10_000;

/// With the whole row, and the fields that an update changes.
pub async fn each_change_of_a_row_is_an_event<S: Site>() {
    let (site, _) = ready::<S>().await;
    site.execute("INSERT INTO people VALUES ('acme', '7', 'Ann', 41)")
        .await
        .unwrap();
    site.execute("UPDATE people SET age = 42").await.unwrap();
    site.execute("DELETE FROM people").await.unwrap();
    let row = |age| json!({ "tenant_id": "acme", "id": "7", "name": "Ann", "age": age });
    let found = events(&site).await;
    let expected = [
        ("person.created", row(41), json!({})),
        ("person.updated", row(42), json!({ "changed": ["age"] })),
        ("person.deleted", row(42), json!({})),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (event, (kind, data, metadata)) in found.iter().zip(expected) {
        assert_eq!(event.event_type, kind);
        assert_eq!((&*event.tenant, &*event.entity), ("acme", "7"));
        assert_eq!((&event.data, &event.metadata), (&data, &metadata));
    }
}

/// Byte for byte: another case and a blank more are a change.
pub async fn an_update_of_nothing_is_no_event<S: Site>() {
    let (site, _) = ready::<S>().await;
    for sql in [
        "INSERT INTO people VALUES ('acme', '7', 'ann', NULL)",
        "UPDATE people SET name = 'ann', age = NULL",
        "UPDATE people SET name = 'Ann'",
        "UPDATE people SET name = 'Ann '",
        "UPDATE people SET name = name",
    ] {
        site.execute(sql).await.unwrap();
    }
    assert_eq!(
        told(&site).await,
        [
            "person.created acme 7",
            "person.updated acme 7 name",
            "person.updated acme 7 name"
        ]
    );
}

/// The old one is gone; both have their own order.
pub async fn a_row_with_a_new_key_is_another_one<S: Site>() {
    let (site, _) = ready::<S>().await;
    for sql in [
        "INSERT INTO people VALUES ('acme', '7', 'Ann', 41)",
        "UPDATE people SET id = '8', age = 42",
        "UPDATE people SET tenant_id = 'globex'",
    ] {
        site.execute(sql).await.unwrap();
    }
    let found = events(&site).await;
    let found: Vec<_> = found
        .iter()
        .map(|event| {
            let (kind, tenant, entity) = (&event.event_type, &event.tenant, &event.entity);
            format!("{kind} {tenant} {entity} {}", event.data["age"])
        })
        .collect();
    assert_eq!(
        found,
        [
            "person.created acme 7 41",
            "person.deleted acme 7 41",
            "person.created acme 8 42",
            "person.deleted acme 8 42",
            "person.created globex 8 42",
        ]
    );
}

/// It is in the row as null, and a change from it and to it is one.
pub async fn null_is_a_value_like_others<S: Site>() {
    let (site, _) = ready::<S>().await;
    for sql in [
        "INSERT INTO people (tenant_id, id) VALUES ('acme', '7')",
        "UPDATE people SET age = 0",
        "UPDATE people SET age = NULL, name = ''",
    ] {
        site.execute(sql).await.unwrap();
    }
    let found = events(&site).await;
    let found: Vec<_> = found
        .iter()
        .map(|event| (event.data["name"].clone(), event.data["age"].clone()))
        .collect();
    let expected = [
        (json!(null), json!(null)),
        (json!(null), json!(0)),
        (json!(""), json!(null)),
    ];
    assert_eq!(found, expected);
}

/// Without tenant or id nobody could be told: the application's statement fails, and says why.
pub async fn a_row_of_nobody_is_refused<S: Site>() {
    let site = S::make("").await;
    let table = "CREATE TABLE loose (tenant VARCHAR(64), id VARCHAR(64), name VARCHAR(64))";
    site.execute(table).await.unwrap();
    let source = Source {
        table: "loose".into(),
        tenant: Some("tenant".into()),
        ..people()
    };
    for sql in [
        "INSERT INTO loose VALUES (NULL, NULL, 'before')",
        "INSERT INTO loose VALUES (NULL, '9', 'before')",
    ] {
        site.execute(sql).await.unwrap();
    }
    site.connect().await.capture(&source).await.unwrap();
    // Nobody was told of these: they may go, or become somebody.
    for sql in [
        "DELETE FROM loose WHERE id IS NULL",
        "UPDATE loose SET tenant = 'acme' WHERE id = '9'",
        "INSERT INTO loose VALUES ('acme', '7', 'Ann')",
    ] {
        site.execute(sql).await.unwrap();
    }
    for (sql, column) in [
        ("INSERT INTO loose VALUES (NULL, '8', 'Bob')", "tenant"),
        ("INSERT INTO loose VALUES ('acme', NULL, 'Bob')", "id"),
        ("UPDATE loose SET id = NULL WHERE id = '7'", "id"),
    ] {
        let error = site.execute(sql).await.unwrap_err();
        assert!(
            error.contains(&format!("loose.{column} is null")),
            "{error}"
        );
    }
    assert_eq!(
        told(&site).await,
        ["person.created acme 7", "person.created acme 9"]
    );
}

/// Neither the row nor its event is there.
pub async fn a_change_that_is_rolled_back_is_none<S: Site>() {
    let (site, _) = ready::<S>().await;
    site.execute("BEGIN; INSERT INTO people VALUES ('acme', '7', 'Ann', 41); ROLLBACK")
        .await
        .unwrap();
    site.execute("INSERT INTO people VALUES ('acme', '8', 'Bob', 42)")
        .await
        .unwrap();
    let twice = "INSERT INTO people VALUES ('acme', '9', 'Eve', 43), ('acme', '8', 'Bob', 42)";
    site.execute(twice).await.unwrap_err();
    assert_eq!(told(&site).await, ["person.created acme 8"]);
}

/// Under the names of its fields; what is not named changes without a word.
pub async fn only_what_is_named_is_captured<S: Site>() {
    let site = S::make("").await;
    site.execute(PEOPLE).await.unwrap();
    let source = Source {
        tenant: None,
        data: vec![("fullName".into(), "name".into())],
        ..people()
    };
    site.connect().await.capture(&source).await.unwrap();
    for sql in [
        "INSERT INTO people VALUES ('acme', '7', 'Ann', 41)",
        "UPDATE people SET age = 42",
        "UPDATE people SET tenant_id = 'globex'",
        "UPDATE people SET name = 'Anna'",
    ] {
        site.execute(sql).await.unwrap();
    }
    assert_eq!(
        told(&site).await,
        [
            "person.created default 7",
            "person.updated default 7 fullName"
        ]
    );
    let found = events(&site).await;
    assert_eq!(found[1].data, json!({ "fullName": "Anna" }));
}

/// Quotes, blanks, backslashes, words of SQL and letters of any script, in names of tables, columns,
/// fields and entities.
pub async fn names_of_any_kind_are_captured<S: Site>() {
    let site = S::make("").await;
    let names = [
        "select",
        "it's",
        "a \"b\" `c`",
        r"back\slash",
        "naïve имя",
        "$millstream0$; DROP TABLE outbox; --",
        "{~}@#:1?%s",
    ];
    for (number, name) in names.iter().enumerate() {
        let (table, column) = (S::quoted(name), S::quoted(&format!("c{name}")));
        site.execute(&format!(
            "CREATE TABLE {table} (id VARCHAR(64) PRIMARY KEY, {column} VARCHAR(64))"
        ))
        .await
        .unwrap();
        let source = Source {
            event: format!("🦀{name}"),
            table: (*name).into(),
            tenant: None,
            entity: "id".into(),
            data: vec![(format!("🦀{name}"), format!("c{name}"))],
        };
        let capture = site.connect().await;
        capture.capture(&source).await.unwrap();
        for sql in [
            format!("INSERT INTO {table} VALUES ('k{number}', 'a')"),
            format!("UPDATE {table} SET {column} = 'b'"),
            format!("DELETE FROM {table}"),
        ] {
            site.execute(&sql).await.unwrap();
        }
        let found = events(&site).await;
        let entity = format!("k{number}");
        let own: Vec<_> = found
            .iter()
            .filter(|event| event.entity == entity)
            .collect();
        let kinds: Vec<_> = own.iter().map(|event| &*event.event_type).collect();
        let kind = |what| format!("🦀{name}.{what}");
        assert_eq!(kinds, [kind("created"), kind("updated"), kind("deleted")]);
        let field = format!("🦀{name}");
        assert_eq!(own[1].data, json!({ &field: "b" }));
        assert_eq!(own[1].metadata, json!({ "changed": [field] }));
        let captured = capture.captured().await.unwrap();
        let captured = captured.iter().find(|one| one.table == *name);
        assert_eq!(captured.unwrap().problem, None);
    }
}

/// Each with its event.
pub async fn ten_thousand_rows_of_one_statement_are_captured<S: Site>() {
    let (site, _) = ready::<S>().await;
    let rows: Vec<String> = (0..MANY)
        .map(|row| format!("('acme', '{row}', 'Ann', 1)"))
        .collect();
    let insert = format!("INSERT INTO people VALUES {}", rows.join(", "));
    site.execute(&insert).await.unwrap();
    site.execute("UPDATE people SET age = 2").await.unwrap();
    let counted =
        "SELECT event_type, entity_version, count(*) FROM outbox GROUP BY 1, 2 ORDER BY 1";
    assert_eq!(
        site.rows(counted).await,
        [
            format!("person.created|1|{MANY}"),
            format!("person.updated|2|{MANY}")
        ]
    );
}
