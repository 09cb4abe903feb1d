//! Code that handles events, with the transaction open: see [`Site::connect_as`].

use millstream_core::error::ErrorKind;

use super::{event, ready};
use crate::suite::Site;

/// However the batches are cut, and if one of them is tried again.
pub async fn a_handler_takes_effect_once<S: Site>() {
    for size in [1, 3, 11] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let mut events = vec![event("account.opened", "acme", "7", r#"{"balance":1000}"#)];
        let credit = |n| {
            event(
                "account.credited",
                "acme",
                "7",
                &format!("{{\"amount\":{n}}}"),
            )
        };
        events.extend((1..=10).map(credit));
        for batch in source.send_all(&events).chunks(size) {
            let again = consumer.batch(batch);
            consumer.settle(batch).await;
            let error = consumer.apply_batch(&again).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
        }
        assert_eq!(site.rows("SELECT balance FROM accounts").await, ["1055"]);
    }
}

/// Those that earlier events of the batch made, and not those of later ones.
pub async fn a_handler_sees_the_rows_of_its_event<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("account.credited", "acme", "8", r#"{"amount":1}"#),
        &event("account.opened", "acme", "7", r#"{"balance":100}"#),
        &event("account.credited", "acme", "7", r#"{"amount":5}"#),
        &event("account.opened", "acme", "7", r#"{"balance":200}"#),
        &event("account.credited", "acme", "7", r#"{"amount":7}"#),
        &event("account.opened", "globex", "8", r#"{"balance":300}"#),
    ]);
    assert_eq!(consumer.settle(&entries).await, "5 applied, 1 dead");
    let found = site.rows("SELECT * FROM accounts ORDER BY tenant_id").await;
    assert_eq!(found, ["acme|7|207", "globex|8|300"]);
}

/// Whether it returns an error, panics, or meets one of the database.
pub async fn a_failing_handler_leaves_nothing<S: Site>() {
    let (site, mut source, mut consumer) = ready::<S>().await;
    let entries = source.send_all([
        &event("account.opened", "acme", "7", r#"{"balance":100}"#),
        &event("handler.fails", "acme", "1", "{}"),
        &event("account.credited", "acme", "7", r#"{"amount":5}"#),
        &event("handler.panics", "acme", "2", "{}"),
        &event("handler.conflicts", "acme", "3", "{}"),
        &event("account.credited", "acme", "7", r#"{"amount":7}"#),
        &event("handler.fails", "acme", "7", "{}"),
        &event("account.credited", "acme", "7", r#"{"amount":9}"#),
    ]);
    let settled = consumer.settle(&entries).await;
    assert_eq!(settled, "3 applied, 1 retrying, 1 blocked, 3 dead");
    assert_eq!(site.rows("SELECT * FROM effects").await, [""; 0]);
    assert_eq!(site.rows("SELECT balance FROM accounts").await, ["112"]);
    let errors =
        "SELECT error FROM event_tracking WHERE outcome IN ('dead', 'retrying') ORDER BY event_id";
    let errors = site.rows(errors).await;
    assert!(errors[0].contains("does not like"), "{errors:?}");
    assert!(errors[1].contains("panicked"), "{errors:?}");
    assert!(
        errors.iter().all(|error| error.contains("the handler of")),
        "{errors:?}"
    );
}

/// It is told so, and what it tried to commit is not there: neither its own rows nor ours.
pub async fn a_handler_that_ends_the_transaction_leaves_nothing<S: Site>() {
    for ends in [
        "handler.commits",
        "handler.rolls_back",
        "handler.begins_anew",
    ] {
        let (site, mut source, mut consumer) = ready::<S>().await;
        let entries = source.send_all([
            &event("account.opened", "acme", "7", r#"{"balance":100}"#),
            &event(ends, "acme", "1", "{}"),
            &event("account.opened", "acme", "8", r#"{"balance":100}"#),
        ]);
        let error = consumer.apply(&entries).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert!(error.to_string().contains(ends), "{error}");
        for table in ["effects", "accounts", "event_tracking"] {
            let rows = site.rows(&format!("SELECT * FROM {table}")).await;
            assert_eq!(rows, [""; 0], "{ends}: {table}");
        }
        let rows = site.rows("SELECT seq FROM millstream_shards").await;
        assert_eq!(rows, ["0"], "{ends}");
        // The connection is as good as before.
        assert_eq!(consumer.settle(&entries[..1]).await, "1 applied");
    }
}
