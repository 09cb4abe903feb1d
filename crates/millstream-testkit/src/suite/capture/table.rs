use millstream_core::capture::{Capture as _, Captured, Source};
use millstream_core::error::ErrorKind;

use super::steps::{PEOPLE, events, people, ready, told};
use crate::suite::Site;

async fn problem<S: Site>(handle: &S::Handle) -> String {
    let captured = handle.captured().await.unwrap();
    let [one] = &captured[..] else {
        panic!("{captured:?}");
    };
    assert_eq!(one.table, "people");
    one.problem.clone().unwrap_or_default()
}

/// A new column, a lost trigger, a lost table: each is told, and what to do; another capture takes the
/// new column up.
pub async fn a_changed_table_is_noticed<S: Site>() {
    let (site, handle) = ready::<S>().await;
    assert_eq!(problem::<S>(&handle).await, "");
    let add = "ALTER TABLE people ADD COLUMN title VARCHAR(64)";
    site.execute(add).await.unwrap();
    let told = problem::<S>(&handle).await;
    assert!(told.contains("column title is new") && told.contains("outbox capture people"));

    handle.capture(&people()).await.unwrap();
    assert_eq!(problem::<S>(&handle).await, "");
    site.execute("INSERT INTO people VALUES ('acme', '7', 'Ann', 41, 'Dr')")
        .await
        .unwrap();
    assert_eq!(events(&site).await[0].data["title"], "Dr");

    site.execute("DROP TABLE people").await.unwrap();
    assert!(problem::<S>(&handle).await.contains("people is gone"));
    site.execute(PEOPLE).await.unwrap();
    let told = problem::<S>(&handle).await;
    assert!(told.contains("title is gone"), "{told}");
    assert!(handle.uncapture("people").await.unwrap());
    assert_eq!(handle.captured().await.unwrap(), []);
}

/// With what is wrong, and nothing is left of the attempt.
pub async fn what_cannot_be_captured_is_refused<S: Site>() {
    let site = S::make("").await;
    site.execute(PEOPLE).await.unwrap();
    site.execute("CREATE VIEW everybody AS SELECT * FROM people")
        .await
        .unwrap();
    let handle = site.connect().await;
    let named = |table: &str| Source {
        table: table.into(),
        ..people()
    };
    let wrong_field = Source {
        data: vec![("title".into(), "title".into())],
        ..people()
    };
    let long = Source {
        event: "x".repeat(300),
        ..people()
    };
    for (source, expected) in [
        (named("nobody"), "there is no table nobody"),
        (named("everybody"), "there is no table everybody"),
        (named("outbox"), "a table of ours"),
        (named("millstream_inbox"), "a table of ours"),
        (wrong_field, "no column title"),
        (long, "the event of table people"),
    ] {
        let error = handle.capture(&source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        let error = handle.capture_statements(&source).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(handle.captured().await.unwrap(), []);

    let bare = S::bare().await;
    bare.execute(PEOPLE).await.unwrap();
    let error = bare.connect().await.capture(&people()).await.unwrap_err();
    assert!(
        error.to_string().contains("run `millstream migrate`"),
        "{error}"
    );
}

/// Nothing of ours is on it any more.
pub async fn a_released_table_is_left_alone<S: Site>() {
    let (site, handle) = ready::<S>().await;
    let statements = handle.capture_statements(&people()).await.unwrap();
    assert!(statements.iter().any(|sql| sql.contains("TRIGGER")));
    let insert = |id| format!("INSERT INTO people VALUES ('acme', '{id}', 'Ann', 41)");
    site.execute(&insert(1)).await.unwrap();
    assert!(handle.uncapture("people").await.unwrap());
    assert!(!handle.uncapture("people").await.unwrap());
    site.execute(&insert(2)).await.unwrap();
    assert_eq!(told(&site).await, ["person.created acme 1"]);
    assert_eq!(handle.captured().await.unwrap(), []);

    handle.capture(&people()).await.unwrap();
    handle.capture(&people()).await.unwrap();
    site.execute(&insert(3)).await.unwrap();
    assert_eq!(
        told(&site).await,
        ["person.created acme 1", "person.created acme 3"]
    );
    let captured = Captured {
        table: "people".into(),
        event: "person".into(),
        problem: None,
    };
    assert_eq!(handle.captured().await.unwrap(), [captured]);

    // By hand.
    for statement in handle.uncapture_statements("people").await.unwrap() {
        site.execute(&statement).await.unwrap();
    }
    site.execute(&insert(4)).await.unwrap();
    assert_eq!(told(&site).await.len(), 2);
}

/// So that two applications can share a database's schema.
pub async fn a_prefix_is_part_of_every_name_that_captures<S: Site>() {
    let site = S::make("sync_").await;
    site.execute(PEOPLE).await.unwrap();
    let handle = site.connect().await;
    handle.capture(&people()).await.unwrap();
    site.execute("INSERT INTO people VALUES ('acme', '7', 'Ann', 41)")
        .await
        .unwrap();
    let found = site.rows("SELECT event_type FROM sync_outbox").await;
    assert_eq!(found, ["person.created"]);
    assert_eq!(problem::<S>(&handle).await, "");
}
