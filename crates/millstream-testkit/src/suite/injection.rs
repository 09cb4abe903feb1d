//! What anybody writes into events and mappings stays what it is: it becomes a value or is refused, and
//! nothing else happens.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use millstream_core::change::Op;
use millstream_core::entry::{Entry, Fields};
use millstream_core::error::ErrorKind;
use millstream_core::event::{Json, Targets};
use millstream_core::lease::{Lease, Leases, Role};
use millstream_core::mapping::{Spec, ValueSpec, compile, table_names};
use millstream_core::name::{EntityId, EventId, EventType, PartitionKey, TenantId};
use millstream_core::outbox::{NewEvent, Outbox, OutboxRow};
use millstream_core::store::{DeadLetterQuery, Store};

use crate::sample::{app, entry_at, instance, stream};
use crate::suite::Site;
use crate::suite::store::{Consumer, Source, event, spec};

/// One test for each case of the suite, for a [`Site`].
#[macro_export]
macro_rules! injection_suite {
    ($site:ty) => {
        $crate::__cases! { $site, injection:
            what_an_outbox_is_given_comes_back
            what_an_event_says_becomes_values
            what_cannot_be_applied_is_kept_as_it_is
            a_hostile_name_in_a_mapping_is_refused
            ;
        }
    };
}

/// Each would do something where texts are put together into a statement, or is no text to some.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "'",
        "''",
        "\"",
        "`",
        "´’‘“”＇",
        "\\",
        "\\'",
        "'\\",
        "\\\\'",
        "\u{bf}'",
        "'; DROP TABLE canary; --",
        "\"; DROP TABLE canary; --",
        "`; DROP TABLE canary; -- ",
        "\\'; DROP TABLE canary; #",
        "'); DELETE FROM canary; --",
        "', 'x'); INSERT INTO canary VALUES (3, 'x'); --",
        "' OR '1'='1",
        "1; UPDATE canary SET word = 'eaten'",
        "' UNION SELECT word FROM canary --",
        "'||(SELECT word FROM canary)||'",
        "(SELECT word FROM canary)",
        "\u{0}",
        "a\u{0}'; DROP TABLE canary; --",
        "--",
        "-- \n",
        "/*",
        "*/",
        "/*! DROP TABLE canary */",
        "#",
        ";",
        "$1",
        "$$; DROP TABLE canary; $$",
        "?",
        "?1",
        ":id",
        "@id",
        "~outbox",
        "{}",
        "{0}",
        "{bin}",
        "%s",
        "%n",
        "%",
        "_",
        "E'\\x27'",
        "x'27'",
        "U&'\\0027'",
        "NULL",
        "null",
        "DEFAULT",
        "\u{202e}elbat\u{202c}",
        "a\u{300}\u{301}\u{302}\u{303}",
        "\u{feff}",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "\r\n\t\u{8}\u{1a}\u{1b}\u{7f}",
        " ",
        "\\u0027",
        "\\N",
    ]
    .map(Into::into)
    .into();
    corpus.push("'\\\"`".repeat(64 * 1024 / 4));
    corpus.push("'".repeat(255));
    corpus
}

/// A text as a string of JSON.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Halves of pairs, which are no characters.
const LONE: [&str; 4] = [
    r#"{"name":"\ud800"}"#,
    r#"{"name":"\udc00'; DROP TABLE canary; --"}"#,
    r#"{"\udfff":"\ud800\u0027"}"#,
    r#"{"name":"\ud83e\udd80\ud83e"}"#,
];

/// A table that nobody may touch.
const CANARY: &str = "CREATE TABLE canary (id INTEGER PRIMARY KEY, word VARCHAR(64));
                      INSERT INTO canary VALUES (1, 'sings'), (2, NULL);";
const UNTOUCHED: [&str; 2] = ["1|sings", "2|NULL"];

/// What is to stay as it was.
struct Guarded<S> {
    site: S,
    objects: Vec<String>,
}

impl<S: Site> Guarded<S> {
    async fn make(tables: &str) -> Self {
        let site = S::make("").await;
        site.execute(CANARY).await.unwrap();
        if !tables.is_empty() {
            site.execute(tables).await.unwrap();
        }
        let objects = Self::objects(&site).await;
        assert!(objects.iter().any(|name| name == "canary"), "{objects:?}");
        Self { site, objects }
    }

    async fn objects(site: &S) -> Vec<String> {
        let mut objects = site.rows(S::OBJECTS).await;
        objects.sort();
        objects
    }

    async fn assert_untouched(&self) {
        let found = self.site.rows("SELECT id, word FROM canary ORDER BY id");
        assert_eq!(found.await, UNTOUCHED);
        assert_eq!(Self::objects(&self.site).await, self.objects);
    }
}

/// Something of an event that its publisher chooses.
type Field = fn(&mut NewEvent, &str) -> Option<()>;

const FIELDS: [Field; 12] = [
    |event, text| Some(event.id = Some(EventId::new(text).ok()?)),
    |event, text| Some(event.event_type = EventType::new(text).ok()?),
    |event, text| Some(event.tenant = TenantId::new(text).ok()?),
    |event, text| Some(event.entity = EntityId::new(text).ok()?),
    |event, text| Some(event.partition_key = Some(PartitionKey::new(text).ok()?)),
    |event, text| Some(event.version = text.into()),
    |event, text| Some(event.published_by = text.into()),
    |event, text| Some(event.timestamp = Some(text.into())),
    |event, text| Some(event.target = Targets::parse(text).ok()?),
    |event, text| Some(event.data = object("name", text)?),
    |event, text| Some(event.data = object(text, "x")?),
    |event, text| Some(event.metadata = object(text, text)?),
];

fn object(name: &str, value: &str) -> Option<Json> {
    Json::parse(format!("{{{}:{}}}", quoted(name), quoted(value))).ok()
}

/// What of a row its publisher has chosen.
fn shown(row: &OutboxRow) -> [&Bytes; 10] {
    [
        &row.event_type,
        &row.version,
        &row.target,
        &row.tenant,
        &row.entity,
        &row.partition_key,
        &row.published_by,
        &row.timestamp,
        &row.data,
        &row.metadata,
    ]
}

fn written(event: &NewEvent) -> [String; 10] {
    let key = event.partition_key.as_ref();
    [
        event.event_type.to_string(),
        event.version.clone(),
        event.target.to_string(),
        event.tenant.to_string(),
        event.entity.to_string(),
        key.map_or(event.entity.as_str(), PartitionKey::as_str)
            .into(),
        event.published_by.clone(),
        event.timestamp.clone().unwrap_or_default(),
        event.data.as_str().into(),
        event.metadata.as_str().into(),
    ]
}

/// Byte for byte, in every field that a publisher fills; or the event is refused.
pub async fn what_an_outbox_is_given_comes_back<S: Site>() {
    let guarded = Guarded::<S>::make("").await;
    let outbox = guarded.site.connect().await;
    let mut events = Vec::new();
    for text in corpus() {
        for set in FIELDS {
            let mut own = event("thing.set", "acme", "7", "{}");
            own.timestamp = Some("2026-01-01T00:00:00Z".into());
            events.extend(set(&mut own, &text).map(|()| own));
        }
    }
    for text in LONE {
        let mut own = event("thing.set", "acme", "7", "{}");
        own.timestamp = Some("2026-01-01T00:00:00Z".into());
        if let Ok(data) = Json::parse(text.to_owned()) {
            own.data = data.clone();
            own.metadata = data;
            events.push(own);
        }
    }

    let (mut expected, mut refused) = (Vec::new(), 0);
    for own in &events {
        match outbox
            .insert(&stream("events"), std::slice::from_ref(own))
            .await
        {
            Ok(inserted) => {
                assert_eq!(inserted.added, 1, "{own:?}");
                expected.push(own);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
                let told = written(own);
                // MariaDB takes half a pair for no JSON.
                let lone = |text: &String| LONE.contains(&text.as_str());
                let fits =
                    |text: &String| text.len() < 60_000 && !text.contains('\0') && !lone(text);
                assert!(!told.iter().all(fits), "{own:?}: {error}");
                refused += 1;
            }
        }
    }
    assert!(expected.len() > 500, "most of it is text");
    assert!(refused > 0, "some of it is not");

    let mut tops = tops(&outbox).await;
    let mut found = Vec::new();
    loop {
        let now = millstream_core::clock::Timestamp::from_millis(0);
        let rows = outbox.number(&tops, 100, now).await.unwrap();
        if rows.is_empty() {
            break;
        }
        found.extend(rows);
        tops[0].checkpoint = outbox.checkpoint(&tops[0]).await.unwrap().unwrap();
    }
    assert_eq!(found.len(), expected.len());
    for (row, own) in found.iter().zip(expected) {
        let id = own.id.as_ref().map(|id| id.as_str().as_bytes());
        assert!(id.is_none_or(|id| id == &row.event_id[..]), "{own:?}");
        assert_eq!(
            shown(row).map(|bytes| &bytes[..]),
            written(own).each_ref().map(|text| text.as_bytes())
        );
    }
    guarded.assert_untouched().await;
}

/// The lease on the only shard of `hr`.
async fn tops(outbox: &impl Leases) -> Vec<Lease> {
    let shard = millstream_core::entry::Shard {
        stream: stream("events"),
        owner: app("hr"),
        number: 0,
    };
    let feeds = [millstream_core::lease::Feed::Owned(shard)];
    outbox.register(Role::Relay, &feeds).await.unwrap();
    let rows = outbox.leases(Role::Relay).await.unwrap();
    let taken = outbox.acquire(&instance("relay"), Role::Relay, &rows).await;
    taken.unwrap().expect("nobody was faster")
}

const THINGS: &str = "CREATE TABLE things (
                        tenant_id VARCHAR(255) NOT NULL, id VARCHAR(255) NOT NULL, name TEXT, age INTEGER,
                        PRIMARY KEY (tenant_id, id));";

fn mappings() -> Vec<Spec> {
    let key = ["tenant_id = tenantId", "id = entityId"];
    let set = ["name = data.name", "age = data.age"];
    vec![
        spec("thing.set", Op::Upsert, "things", &key, &set),
        spec("thing.left", Op::Delete, "things", &key, &[]),
    ]
}

/// A consumer of shared streams: their events come from anybody.
async fn consumer<S: Site>(site: &S) -> (Source, Consumer<S::Handle>) {
    let source = Source::shared();
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (source, consumer)
}

/// The event whose ids are this text where they can be, of a number.
fn named(event_type: &str, text: &str, number: usize, data: &str) -> NewEvent {
    let mut own = event(event_type, &format!("t{number}"), "7", data);
    own.tenant = TenantId::new(text).unwrap_or(own.tenant);
    own.entity = EntityId::new(text).unwrap_or(own.entity);
    own.id = EventId::new(text).ok();
    own
}

/// In columns of keys and others; and of what is not mapped, in what is kept of it.
pub async fn what_an_event_says_becomes_values<S: Site>() {
    let guarded = Guarded::<S>::make(THINGS).await;
    let (mut source, mut consumer) = consumer(&guarded.site).await;
    let mut expected = Vec::new();
    for (number, text) in corpus().iter().enumerate() {
        let Some(data) = object("name", text) else {
            continue;
        };
        let own = named("thing.set", text, number, data.as_str());
        let settled = consumer.settle(&[source.send(&own)]).await;
        if settled == "1 applied" {
            let (tenant, id) = (&own.tenant, &own.entity);
            expected.push(format!("{tenant}|{id}|{text}"));
        } else {
            assert_eq!(settled, "1 dead", "{text:?}");
            let fits = !text.contains('\0') && text.len() < 60_000;
            assert!(!fits, "{text:?} is a text like others");
        }
    }
    assert!(expected.len() > 40, "most of it is text");
    let mut found = guarded
        .site
        .rows("SELECT tenant_id, id, name FROM things")
        .await;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let mut types = Vec::new();
    for text in corpus() {
        if let Ok(event_type) = EventType::new(&text) {
            types.push(event_type.to_string());
            let own = event(event_type.as_str(), "acme", "skipped", "{}");
            assert_eq!(consumer.settle(&[source.send(&own)]).await, "1 skipped");
        }
    }
    let skipped = "SELECT event_type FROM event_tracking WHERE entity_id = 'skipped'";
    let mut found = guarded.site.rows(skipped).await;
    found.sort();
    types.sort();
    assert_eq!(found, types);
    guarded.assert_untouched().await;

    // And is found by them again.
    for (number, text) in corpus().iter().enumerate() {
        let mut left = named("thing.left", text, number, "{}");
        left.id = None;
        consumer.apply(&[source.send(&left)]).await.unwrap();
    }
    assert_eq!(guarded.site.rows("SELECT * FROM things").await, [""; 0]);
    guarded.assert_untouched().await;
}

/// Fields, and what could be read of them, of events that fail and of entries that are none.
pub async fn what_cannot_be_applied_is_kept_as_it_is<S: Site>() {
    let guarded = Guarded::<S>::make(THINGS).await;
    let (mut source, mut consumer) = consumer(&guarded.site).await;
    let mut entries: Vec<Entry> = Vec::new();
    for (number, text) in corpus().iter().enumerate() {
        let data = format!("{{\"name\":{0},\"age\":{0}}}", quoted(text));
        if let Ok(data) = Json::parse(data) {
            let own = named("thing.set", text, number, data.as_str());
            entries.push(source.send(&own));
        }
        entries.push(foreign(&source.send_broken(None), text));
    }
    for text in LONE {
        // Half a pair may be refused as JSON, or as a value.
        let mut fields = source.send(&event("thing.set", "acme", "lone", "{}"));
        fields.fields = replaced(&fields.fields, "eventData", text.replace("name", "age"));
        entries.push(fields);
    }
    for batch in entries.chunks(16) {
        let settled = consumer.apply(batch).await.unwrap();
        assert_eq!(settled.repeated, 0);
    }

    let query = DeadLetterQuery {
        limit: usize::MAX,
        ..DeadLetterQuery::default()
    };
    let letters = consumer.store.dead_letters(&query).await.unwrap();
    assert!(
        letters.len() > entries.len() - LONE.len(),
        "an age is a number"
    );
    for letter in &letters {
        let entry = entries.iter().find(|entry| entry.id == letter.entry);
        let entry = entry.expect("it was delivered");
        assert_eq!(letter.raw, entry.fields);
        let field = |name: &str| {
            let value = entry.fields.get(name)?;
            String::from_utf8(value.to_vec()).ok()
        };
        for (read, name) in [
            (&letter.event_id, "eventId"),
            (&letter.event_type, "eventType"),
            (&letter.tenant, "tenantId"),
            (&letter.key, "entityId"),
        ] {
            assert!(read.is_none() || *read == field(name), "{name}");
        }
        assert!(!letter.reason.contains("DROP TABLE"), "{}", letter.reason);
    }
    guarded.assert_untouched().await;
}

/// An entry that is no event, whose fields are anything.
fn foreign(entry: &Entry, text: &str) -> Entry {
    let mut fields = Fields::with_capacity(entry.fields.len() + 3);
    for (name, value) in entry.fields.iter() {
        fields.push(name.clone(), value.clone());
    }
    fields.push(text.to_owned(), text.to_owned());
    fields.push(
        [text.as_bytes(), b"\xff\xfe"].concat(),
        &b"\xc3\x28\x00'"[..],
    );
    entry_at(entry.id, replaced(&fields, "eventType", text.to_owned()))
}

/// Fields, with another value in the place of one.
fn replaced(fields: &Fields, name: &str, value: String) -> Fields {
    let mut replaced = Fields::with_capacity(fields.len());
    for (own, old) in fields.iter() {
        let new = match own.as_ref() == name.as_bytes() {
            true => Bytes::from(value.clone()),
            false => old.clone(),
        };
        replaced.push(own.clone(), new);
    }
    replaced
}

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
