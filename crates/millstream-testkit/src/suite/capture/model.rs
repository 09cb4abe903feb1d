use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::steps::{events, ready};
use crate::suite::Site;

/// Statements of one program.
const STEPS: usize = 30;

/// What an application may do.
#[derive(Debug, Clone)]
enum Step {
    Insert(Key, Option<&'static str>, Option<i32>),
    Replace(Key, Option<&'static str>),
    Age(&'static str),
    Rename(Key, Option<&'static str>),
    Move(Key, Key),
    Delete(Key),
    Clear(&'static str),
}

type Key = (&'static str, &'static str);

fn step() -> impl Strategy<Value = (Step, bool)> {
    let tenant = || prop::sample::select(vec!["acme", "globex"]);
    let key = || (tenant(), prop::sample::select(vec!["7", "8", "9"]));
    let name = || {
        prop::sample::select(vec![
            None,
            Some("ann"),
            Some("Ann"),
            Some("ann "),
            Some("é"),
        ])
    };
    let age = prop::sample::select(vec![None, Some(0), Some(1)]);
    let step = prop_oneof![
        3 => (key(), name(), age).prop_map(|(key, name, age)| Step::Insert(key, name, age)),
        2 => (key(), name()).prop_map(|(key, name)| Step::Replace(key, name)),
        1 => tenant().prop_map(Step::Age),
        3 => (key(), name()).prop_map(|(key, name)| Step::Rename(key, name)),
        2 => (key(), key()).prop_map(|(from, to)| Step::Move(from, to)),
        2 => key().prop_map(Step::Delete),
        1 => tenant().prop_map(Step::Clear),
    ];
    (step, prop::bool::weighted(0.2))
}

impl Step {
    fn sql<S: Site>(&self) -> String {
        let text = |text: Option<&str>| text.map_or("NULL".into(), |text| format!("'{text}'"));
        let at = |(tenant, id): Key| format!("tenant_id = '{tenant}' AND id = '{id}'");
        match *self {
            Self::Insert((tenant, id), name, age) => {
                let age = age.map_or("NULL".into(), |age: i32| age.to_string());
                let name = text(name);
                format!("INSERT INTO people VALUES ('{tenant}', '{id}', {name}, {age})")
            }
            Self::Replace((tenant, id), name) => S::upsert_name(tenant, id, &text(name)),
            Self::Age(tenant) => {
                format!("UPDATE people SET age = age + 1 WHERE tenant_id = '{tenant}'")
            }
            Self::Rename(key, name) => {
                format!("UPDATE people SET name = {} WHERE {}", text(name), at(key))
            }
            Self::Move(from, (tenant, id)) => format!(
                "UPDATE people SET tenant_id = '{tenant}', id = '{id}' WHERE {}",
                at(from)
            ),
            Self::Delete(key) => format!("DELETE FROM people WHERE {}", at(key)),
            Self::Clear(tenant) => format!("DELETE FROM people WHERE tenant_id = '{tenant}'"),
        }
    }
}

/// Whatever an application does, its events replayed are its table; each fits what was before.
pub fn captured_changes_replayed_are_the_table<S: Site>() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let config = Config {
        cases: S::CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    runner
        .run(&prop::collection::vec(step(), 1..STEPS), |steps| {
            runtime.block_on(replay::<S>(&steps));
            Ok(())
        })
        .unwrap();
}

async fn replay<S: Site>(steps: &[(Step, bool)]) {
    let (site, _) = ready::<S>().await;
    for (step, is_taken_back) in steps {
        let sql = step.sql::<S>();
        if *is_taken_back {
            // What is refused is taken back as well.
            site.execute("BEGIN").await.unwrap();
            site.execute(&sql).await.ok();
            site.execute("ROLLBACK").await.unwrap();
        } else {
            site.execute(&sql).await.ok();
        }
    }

    let mut table: BTreeMap<(String, String), Value> = BTreeMap::new();
    for event in events(&site).await {
        let key = (event.tenant.clone(), event.entity.clone());
        let before = match &*event.event_type {
            "person.deleted" => table.remove(&key),
            _ => table.insert(key, event.data.clone()),
        };
        match (&*event.event_type, before) {
            ("person.created", None) => {}
            ("person.updated", Some(before)) => {
                let differs = |field: &&str| before[*field] != event.data[*field];
                let fields = ["tenant_id", "id", "name", "age"];
                let changed: Vec<&str> = fields.iter().copied().filter(|f| differs(f)).collect();
                let mut told: Vec<&str> = event.metadata["changed"]
                    .as_array()
                    .expect("an update says what changed")
                    .iter()
                    .filter_map(Value::as_str)
                    .collect();
                told.sort_by_key(|told| fields.iter().position(|field| field == told));
                assert_eq!(told, changed);
                assert!(!changed.is_empty(), "{event:?}");
            }
            ("person.deleted", Some(before)) => assert_eq!(before, event.data),
            (_, before) => panic!("{event:?} came after {before:?}"),
        }
    }
    let shown = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let replayed: Vec<String> = table
        .values()
        .map(|row| {
            let columns = ["tenant_id", "id", "name", "age"];
            columns.map(|column| shown(&row[column])).join("|")
        })
        .collect();
    let found = site
        .rows("SELECT * FROM people ORDER BY tenant_id, id")
        .await;
    assert_eq!(replayed, found);
}
