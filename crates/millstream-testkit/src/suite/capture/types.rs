use millstream_core::capture::Capture as _;
use millstream_core::change::Op;

use super::steps::{events, source};
use crate::suite::Site;
use crate::suite::store::{Consumer, Source, event, spec};

/// Columns of all types that a database has, whose values go through an event and back.
#[derive(Debug)]
pub struct Types<'a> {
    /// Name and declaration.
    pub columns: &'a [(&'a str, &'a str)],
    /// Name of a column, a value of it as SQL writes it, and the same in the event, as JSON.
    pub values: &'a [(&'a str, &'a str, &'a str)],
}

impl Types<'_> {
    /// Writes each value into a captured table, compares its event, and lets that write the value into
    /// a table of the same columns: both must hold the same. Statements of `session` come first, as an
    /// application may have set its session up.
    pub async fn round_trip<S: Site>(&self, session: &str) {
        let site = S::make("").await;
        for table in ["things", "copies"] {
            let columns: Vec<String> = self
                .columns
                .iter()
                .map(|(name, declared)| format!("{} {declared}", S::quoted(name)))
                .collect();
            let columns = columns.join(", ");
            let create = format!("CREATE TABLE {table} (id VARCHAR(64) PRIMARY KEY, {columns})");
            site.execute(&create).await.unwrap();
        }
        let handle = site.connect().await;
        handle.capture(&source("things")).await.unwrap();
        if !session.is_empty() {
            site.execute(session).await.unwrap();
        }
        for (number, (column, value, _)) in self.values.iter().enumerate() {
            let column = S::quoted(column);
            let insert =
                format!("INSERT INTO things (id, {column}) VALUES ('{number:03}', {value})");
            site.execute(&insert).await.unwrap();
        }

        let captured = events(&site).await;
        assert_eq!(captured.len(), self.values.len());
        let raw = "SELECT event_data FROM outbox ORDER BY entity_id";
        let raw = site.rows(raw).await;
        let mut sent = Source::shard(0);
        let mut entries = Vec::new();
        for ((captured, raw), (column, value, expected)) in
            captured.iter().zip(&raw).zip(self.values)
        {
            let expected: serde_json::Value = serde_json::from_str(expected).expect("JSON");
            assert_eq!(captured.data[column], expected, "{column} {value}: {raw}");
            entries.push(sent.send(&event("person.created", "default", &captured.entity, raw)));
        }
        let set: Vec<String> = self
            .columns
            .iter()
            .map(|(column, _)| format!("{column} = data.{column}"))
            .collect();
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let mapping = spec(
            "person.created",
            Op::Upsert,
            "copies",
            &["id = entityId"],
            &set,
        );
        let mut consumer = Consumer::start(handle, sent.feed(), vec![mapping]).await;
        consumer.apply(&entries).await.unwrap();
        assert_eq!(
            site.rows("SELECT reason FROM dead_letters").await,
            [""; 0],
            "each value fits its column"
        );
        let all = |table| format!("SELECT * FROM {table} ORDER BY id");
        let (things, copies) = (
            site.rows(&all("things")).await,
            site.rows(&all("copies")).await,
        );
        for (thing, copy) in things.iter().zip(&copies) {
            assert_eq!(thing, copy);
        }
        assert_eq!(things.len(), copies.len());
    }
}
