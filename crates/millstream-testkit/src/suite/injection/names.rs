use std::collections::HashMap;
use std::sync::Arc;

use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_core::mapping::{Spec, ValueSpec, compile, table_names};
use millstream_core::store::Store;

use super::corpus::corpus;
use super::guarded::Guarded;
use super::things::THINGS;
use crate::suite::Site;

/// Names that a database takes, and that end what quotes them badly.
const HOSTILE: [&str; 3] = [
    "x\"; DROP TABLE canary; --",
    "x`; DROP TABLE canary; --",
    "x'; DROP TABLE canary; --",
];

/// As a table and as a column, whether it is there or not: no statement is ever made with it.
pub async fn a_hostile_name_in_a_mapping_is_refused<S: Site>() {
    let tables = HOSTILE.map(|name| {
        let name = S::quoted(name);
        let columns = "tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL";
        format!(
            "CREATE TABLE {name} ({columns}, {name} VARCHAR(64), name VARCHAR(64),
                                  PRIMARY KEY (tenant_id, id));"
        )
    });
    let guarded = Guarded::<S>::make(&format!("{THINGS} {}", tables.concat())).await;
    let store = guarded.site.connect().await;
    for name in HOSTILE {
        // There are such tables: whoever names one is not told that it does not exist.
        let problems = problems(&store, &of(name, "id", "name")).await;
        assert!(problems.contains("is not a usable name"), "{problems}");
    }
    for name in corpus().iter().map(String::as_str).chain(HOSTILE) {
        for spec in [
            of(name, "id", "name"),
            of("things", name, "name"),
            of("things", "id", name),
        ] {
            assert_ne!(problems(&store, &spec).await, "", "{name:?}");
        }
    }
    guarded.assert_untouched().await;
}

fn of(table: &str, key: &str, set: &str) -> Spec {
    let path = |path: &str| ValueSpec::Path(path.into());
    Spec {
        on: vec!["thing.set".into()],
        table: table.into(),
        key: vec![
            ("tenant_id".into(), path("tenantId")),
            (key.into(), path("entityId")),
        ],
        set: vec![(set.into(), path("data.name"))],
        op: Op::Upsert,
        when: None,
    }
}

/// What is wrong with a mapping; nothing if it would work.
async fn problems(store: &impl Store, spec: &Spec) -> String {
    let specs = std::slice::from_ref(spec);
    let names = table_names(specs);
    let tables: HashMap<Arc<str>, _> = match store.tables(&names).await {
        Ok(tables) => names
            .into_iter()
            .zip(tables)
            .filter_map(|(name, table)| Some((name, table?)))
            .collect(),
        Err(error) => {
            let kind = error.kind();
            let refused = matches!(kind, ErrorKind::Invalid | ErrorKind::Misconfigured);
            assert!(refused, "{error}");
            return error.to_string();
        }
    };
    match compile(specs, &tables) {
        Ok(_) => String::new(),
        Err(problems) => format!("{problems:?}"),
    }
}
