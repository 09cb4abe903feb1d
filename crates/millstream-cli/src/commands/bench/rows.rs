//! The rows that both sides write, and the events that lead to them.

use bytes::Bytes;

use millstream::core::change::Op;
use millstream::core::entry::{EntryId, Shard};
use millstream::core::outbox::OutboxRow;
use millstream::{Spec, ValueSpec};

pub(super) const LOG: &str = "events.db";
pub(super) const SHARDS: u16 = 4;

/// The target: a key and five columns.
pub(super) const TABLE: &str = "CREATE TABLE employees (
  tenant_id  TEXT NOT NULL,
  user_id    TEXT NOT NULL,
  first_name TEXT,
  last_name  TEXT,
  email      TEXT,
  title      TEXT,
  salary     INTEGER,
  PRIMARY KEY (tenant_id, user_id)
)";

pub(super) const UPSERT: &str = "INSERT INTO employees
  (tenant_id, user_id, first_name, last_name, email, title, salary) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (tenant_id, user_id) DO UPDATE SET first_name = excluded.first_name,
    last_name = excluded.last_name, email = excluded.email, title = excluded.title,
    salary = excluded.salary";

/// One event's row.
pub(super) struct Person {
    pub(super) tenant: String,
    pub(super) user: String,
    pub(super) email: String,
    pub(super) salary: i64,
}

pub(super) const FIRST_NAME: &str = "Georgi";
pub(super) const LAST_NAME: &str = "Facello";
pub(super) const TITLE: &str = "Senior Engineer";

/// Event number `n` of `events`: a quarter as many people as events, in scattered order, so that a
/// batch hardly ever holds the same person twice and folding gains nothing over the floor.
pub(super) fn person(n: u64, events: u64) -> Person {
    let people = (events / 4).max(1);
    // A multiplier that is prime to any count of people walks through all of them.
    let user = n.wrapping_mul(2_654_435_761) % people;
    Person {
        tenant: format!("tenant-{}", user % 8),
        user: format!("{user:08}"),
        email: format!("{user}@example.com"),
        salary: i64::try_from(n % 100_000).expect("a small number"),
    }
}

/// The event's data, filled up to `bytes`.
pub(super) fn data(person: &Person, bytes: usize) -> String {
    let data = format!(
        r#"{{"firstName":"{FIRST_NAME}","lastName":"{LAST_NAME}","email":"{}","title":"{TITLE}","salary":{},"note":""#,
        person.email, person.salary
    );
    let fill = bytes.saturating_sub(data.len() + 2);
    format!("{data}{}\"}}", "x".repeat(fill))
}

pub(super) fn event_id(n: u64) -> String {
    // The shape of a UUIDv7: rising in its first half.
    format!("{:08x}-{:04x}-7000-8000-{n:012x}", n >> 16, n & 0xffff)
}

/// The row of an outbox that would have led to the event.
pub(super) fn outbox_row(n: u64, events: u64, payload: usize) -> OutboxRow {
    let person = person(n, events);
    let shard = Shard::number_of(person.tenant.as_bytes(), person.user.as_bytes(), SHARDS);
    OutboxRow {
        shard,
        at: EntryId::ZERO,
        prev: None,
        event_id: event_id(n).into(),
        event_type: Bytes::from_static(b"user.updated"),
        version: Bytes::from_static(b"1.0"),
        target: Bytes::from_static(b"*"),
        partition_key: person.user.clone().into(),
        entity_version: 1,
        timestamp: Bytes::from_static(b"2026-01-01T00:00:00.000Z"),
        published_by: Bytes::from_static(b"system"),
        data: data(&person, payload).into(),
        metadata: Bytes::from_static(b"{}"),
        tenant: person.tenant.into(),
        entity: person.user.into(),
    }
}

pub(super) fn mapping() -> Spec {
    mapping_to("employees")
}

/// The same for a table of another name.
pub(super) fn mapping_to(table: &str) -> Spec {
    let path = |column: &str, path: &str| (column.to_owned(), ValueSpec::Path(path.to_owned()));
    Spec {
        on: vec!["user.updated".into()],
        table: table.into(),
        key: vec![path("tenant_id", "tenantId"), path("user_id", "entityId")],
        set: vec![
            path("first_name", "data.firstName"),
            path("last_name", "data.lastName"),
            path("email", "data.email"),
            path("title", "data.title"),
            path("salary", "data.salary"),
        ],
        op: Op::Upsert,
        when: None,
    }
}
