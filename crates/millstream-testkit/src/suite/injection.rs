//! Words of SQL in places of names and values: they stay words.

use millstream_core::change::Op;
use millstream_core::error::ErrorKind;
use millstream_core::mapping::{Spec, compile};
use millstream_core::name::{EntityId, EventType, PartitionKey, TenantId};
use millstream_core::outbox::Outbox as _;
use millstream_core::store::Store as _;

use crate::sample::stream;
use crate::suite::Site;
use crate::suite::store::{Consumer, Source, event, spec};

/// Attempts, and texts that programs have stumbled over.
const CORPUS: &[&str] = &[
    "'; DROP TABLE canary; --",
    "\"; DROP TABLE canary; --",
    "`; DROP TABLE canary; --",
    "\\'; DROP TABLE canary; --",
    "'); DELETE FROM canary; --",
    "' OR '1'='1",
    "'/*",
    "*/'",
    "-- ",
    "#",
    ";",
    ";;",
    "$1",
    "$$",
    "$tag$",
    "?",
    "?1",
    ":id",
    "@x",
    "@@version",
    "%s",
    "%d",
    "%",
    "_",
    "{}",
    "{0}",
    "~",
    "\\",
    "\\\\",
    "\\x00",
    "\\u0027",
    "E'\\047'",
    "0x27",
    "CHAR(39)",
    "\u{02bc}",
    "\u{ff07}",
    "\u{2019}",
    "\u{202e}sdrawkcab",
    "e\u{301}",
    "\u{feff}bom",
    "\u{200b}",
    "🦀",
    "NULL",
    "null",
    "true",
    "1e999",
    "-9223372036854775809",
    "[]",
    "{\"a\":1}",
    "{\"$ne\":null}",
    "../../etc/passwd",
    "${HOME}",
    "line\nnext",
    "tab\there",
    "\r",
    "a\u{1}b",
    " ",
    "  leading and trailing  ",
];

/// As long as a column of MariaDB takes.
const LONG: usize = 32 * 1024 - 1;

const TABLES: &str = "CREATE TABLE canary (id VARCHAR(64) PRIMARY KEY, note VARCHAR(255));
    INSERT INTO canary VALUES ('1', 'sings');
    CREATE TABLE notes (tenant_id VARCHAR(255) NOT NULL, id VARCHAR(255) NOT NULL, note TEXT,
      PRIMARY KEY (tenant_id, id))";

/// What there is besides: neither a table more nor one less.
async fn is_alive<S: Site>(site: &S, text: &str) {
    let canary = site.rows("SELECT id, note FROM canary").await;
    assert_eq!(canary, ["1|sings"], "{text:?}");
}

fn mapping() -> Spec {
    let key = ["tenant_id = tenantId", "id = entityId"];
    spec("note.set", Op::Upsert, "notes", &key, &["note = data.note"])
}

/// Each text as each value of an event, through an outbox and into a table: it comes out as it went in, or is
/// refused with its event, and nothing else happens.
pub async fn values_stay_values<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let handle = site.connect().await;
    let mut source = Source::shard(0);
    let mut consumer = Consumer::start(site.connect().await, source.feed(), vec![mapping()]).await;
    let long = "x'".repeat(LONG);
    let texts = CORPUS.iter().copied().chain([long.as_str()]);
    for (number, text) in texts.enumerate() {
        let data = serde_json::json!({ "note": text, text: text }).to_string();
        let mut sent = event("note.set", "acme", &format!("n{number}"), &data);
        if let Ok(tenant) = TenantId::new(text) {
            sent.tenant = tenant;
        }
        if let Ok(entity) = EntityId::new(text) {
            sent.entity = entity;
        }
        sent.partition_key = PartitionKey::new(text).ok();
        sent.published_by = text.chars().take(60).collect();
        let inserted = handle
            .insert(&stream("events"), std::slice::from_ref(&sent))
            .await;
        if let Err(error) = inserted {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text:?}: {error}");
        }
        if let Ok(event_type) = EventType::new(text) {
            let mut odd = sent.clone();
            odd.event_type = event_type;
            handle.insert(&stream("events"), &[odd]).await.ok();
        }
        is_alive(&site, text).await;

        let entry = source.send(&sent);
        let settled = consumer.settle(&[entry]).await;
        assert!(
            ["1 applied", "1 dead"].contains(&&*settled),
            "{text:?}: {settled}"
        );
        is_alive(&site, text).await;
        if settled == "1 applied" {
            let rows = site.rows("SELECT note FROM notes").await;
            assert!(rows.iter().any(|note| note == text), "{text:?}: {rows:?}");
        }
        site.execute("DELETE FROM notes").await.unwrap();
    }
    let parked = site.rows("SELECT count(*) FROM dead_letters").await;
    assert_eq!(parked, ["0"], "all of it is text");
}

/// Each text as the name of a table and of a column, in mappings: it is refused before the first event, even
/// where a table of that name is there.
pub async fn names_stay_names<S: Site>() {
    let site = S::make("").await;
    site.execute(TABLES).await.unwrap();
    let store = site.connect().await;
    let long = "x'".repeat(LONG);
    for text in CORPUS.iter().copied().chain([long.as_str()]) {
        let tables = store.tables(&[text.into()]).await;
        match tables {
            Ok(tables) => assert_eq!(tables, [None], "{text:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Misconfigured, "{text:?}: {error}"),
        }
        is_alive(&site, text).await;
    }
    let known = store.tables(&["notes".into()]).await.unwrap().remove(0);
    let is_name = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let odd = CORPUS.iter().copied().filter(|text| !is_name(text));
    for text in odd.chain([long.as_str()]) {
        let tables = ["notes", text].map(|name| (name.into(), known.clone().expect("it is there")));
        let tables = tables.into_iter().collect();
        let mut column = mapping();
        column.set[0].0 = text.into();
        let mut key = mapping();
        key.key[0].0 = text.into();
        let mut table = mapping();
        table.table = text.into();
        for odd in [column, key, table] {
            assert!(compile(&[odd], &tables).is_err(), "{text:?}");
        }
    }
}

/// One test for each case of the suite, for a [`Site`](crate::suite::Site).
#[macro_export]
macro_rules! injection_suite {
    ($site:ty) => {
        $crate::__cases! { $site, injection:
            values_stay_values
            names_stay_names
            ;
        }
    };
}
