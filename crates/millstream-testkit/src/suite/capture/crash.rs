use millstream_core::capture::Capture as _;

use super::steps::{PEOPLE, people, told};
use crate::suite::Site;

/// A process dies before each statement that a capture takes: what is captured in part says so, and done
/// again, it is whole.
pub async fn a_capture_that_died_is_done_again<S: Site>() {
    let (mut statements, mut alive) = (0, false);
    while !alive {
        let site = S::make("").await;
        site.execute(PEOPLE).await.unwrap();
        let mortal = site.connect_mortal(statements).await;
        let captured = mortal.capture(&people()).await;
        alive = !site.bury(mortal).await;
        assert!(!alive || captured.is_ok(), "{captured:?}");

        let handle = site.connect().await;
        change(&site).await;
        let part = told(&site).await;
        if !part.is_empty() && part != WHOLE {
            let found = handle.captured().await.unwrap();
            assert!(found[0].problem.is_some(), "before statement {statements}");
        }
        site.execute("DELETE FROM outbox").await.unwrap();
        handle.capture(&people()).await.unwrap();
        let found = handle.captured().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].problem, None, "before statement {statements}");
        change(&site).await;
        assert_eq!(told(&site).await, WHOLE);
        statements += 1;
    }
    assert!(statements > 4, "there were statements to die before");
}

async fn change(site: &impl Site) {
    for sql in [
        "INSERT INTO people VALUES ('acme', '7', 'Ann', 41)",
        "UPDATE people SET age = 42",
        "DELETE FROM people",
    ] {
        site.execute(sql).await.unwrap();
    }
}

/// What is told of [`change`].
const WHOLE: [&str; 3] = [
    "person.created acme 7",
    "person.updated acme 7 age",
    "person.deleted acme 7",
];
