use proptest::prelude::*;

use super::*;
use crate::event::{Event, Json, Targets};
use crate::outbox::{NewEvent, OutboxRow};

fn row() -> OutboxRow {
    OutboxRow {
        shard: 0,
        at: EntryId::new(1, 42),
        prev: Some(own("0190-prev")),
        event_id: own("0190-this"),
        event_type: own("user.created"),
        version: own("1.0"),
        target: own("hr,billing"),
        tenant: own("Ünïcode 'O''Brien' "),
        entity: own("7 "),
        partition_key: own("household-3"),
        entity_version: 5,
        timestamp: own("2024-01-01T00:00:00Z"),
        published_by: own("system"),
        data: own(r#"{"email":"a@example.com" , "age": 36}"#),
        metadata: own("{}"),
    }
}

/// Wire version 1, as it is stored in streams. This fixture outlives later versions.
const VERSION_1: [(&str, &str); 17] = [
    ("eventId", "0190-this"),
    ("eventType", "user.created"),
    ("version", "1.0"),
    ("sourceApplication", "crm"),
    ("targetApplication", "hr,billing"),
    ("tenantId", "Ünïcode 'O''Brien' "),
    ("entityId", "7 "),
    ("timestamp", "2024-01-01T00:00:00Z"),
    ("publishedBy", "system"),
    ("eventData", r#"{"email":"a@example.com" , "age": 36}"#),
    ("metadata", "{}"),
    ("wire", "1"),
    ("partitionKey", "household-3"),
    ("entityVersion", "5"),
    ("generation", "1"),
    ("seq", "42"),
    ("prev", "0190-prev"),
];

fn version_1() -> Entry {
    Entry {
        id: EntryId::new(1, 42),
        fields: fields(VERSION_1),
    }
}

/// The entry with one field of another value, or without it.
fn altered(name: &str, value: Option<&str>) -> Entry {
    let list = VERSION_1
        .into_iter()
        .filter_map(|(field, old)| match (field == name, value) {
            (true, None) => None,
            (true, Some(value)) => Some((field, value)),
            (false, _) => Some((field, old)),
        });
    Entry {
        id: EntryId::new(1, 42),
        fields: fields(list),
    }
}

#[test]
fn version_1_is_what_it_was() {
    assert_eq!(encode_owned(&row(), &app("crm")), version_1());
    let decoded = decode(&owned_feed(), &version_1()).unwrap();
    assert_eq!(
        decoded.event.target,
        Targets::Only(vec![app("hr"), app("billing")])
    );
    assert_eq!(decoded.event.tenant.as_str(), "Ünïcode 'O''Brien' ");
    assert_eq!(
        decoded.event.data.as_str(),
        r#"{"email":"a@example.com" , "age": 36}"#
    );
    assert_eq!(decoded.sequence.partition_key.as_str(), "household-3");
    assert_eq!(decoded.sequence.entity_version, Some(5));
    assert_eq!(decoded.sequence.prev.unwrap().as_str(), "0190-prev");
    assert_eq!(decoded.event.unknown, []);
}

#[test]
fn the_first_of_a_generation_has_no_prev() {
    let entry = encode_owned(
        &OutboxRow {
            prev: None,
            ..row()
        },
        &app("crm"),
    );
    assert_eq!(entry.fields.get("prev"), None);
    assert_eq!(decode(&owned_feed(), &entry).unwrap().sequence.prev, None);
}

#[test]
fn unknown_fields_are_kept() {
    let list = VERSION_1
        .into_iter()
        .chain([("colour", "red"), ("colour", "blue")]);
    let entry = Entry {
        id: EntryId::new(1, 42),
        fields: fields(list),
    };
    let unknown = decode(&owned_feed(), &entry).unwrap().event.unknown;
    assert_eq!(
        unknown,
        [
            ("colour".into(), own("red")),
            ("colour".into(), own("blue"))
        ]
    );
}

/// It belongs to another event, which is judged by itself.
#[test]
fn a_prev_that_cannot_be_read_counts_as_none() {
    for prev in ["", "\0"] {
        let decoded = decode(&owned_feed(), &altered("prev", Some(prev))).unwrap();
        assert_eq!(decoded.sequence.prev, None);
    }
}

#[test]
fn what_the_relay_did_not_write_is_refused() {
    let check = |name: &str, value: Option<&str>, expected: &str| {
        let refused = decode(&owned_feed(), &altered(name, value)).unwrap_err();
        assert_eq!(refused.reason.as_str(), expected);
        if let Some(value) = value {
            assert!(value.is_empty() || !refused.reason.as_str().contains(value));
        }
    };
    for (name, _) in VERSION_1.iter().filter(|(name, _)| *name != "prev") {
        check(name, None, &format!("field {name} is missing"));
    }
    check(
        "wire",
        Some("2"),
        "its wire version is newer than 1: update this program",
    );
    check("wire", Some("x"), "field wire is not a whole number");
    check(
        "seq",
        Some("43"),
        "generation and seq are not those of the entry id",
    );
    check(
        "generation",
        Some("9"),
        "generation and seq are not those of the entry id",
    );
    check(
        "sourceApplication",
        Some("hr"),
        "its source is not the stream's owner, crm",
    );
    check(
        "entityVersion",
        Some("-8"),
        "field entityVersion is not a whole number",
    );
    check(
        "tenantId",
        Some(""),
        "field tenantId holds an empty tenant id",
    );
    check(
        "eventData",
        Some("[]"),
        "field eventData is not a JSON object",
    );
    check(
        "metadata",
        Some("{"),
        "field metadata is not valid JSON at line 1, column 1",
    );
    check(
        "publishedBy",
        Some("a\0b"),
        "field publishedBy contains NUL",
    );
}

#[test]
fn what_could_be_read_is_kept() {
    let refused = decode(&owned_feed(), &altered("eventData", Some("nope"))).unwrap_err();
    assert_eq!(refused.id.unwrap().as_str(), "0190-this");
    assert_eq!(refused.event_type.unwrap(), "user.created");
    assert_eq!(refused.tenant.unwrap().as_str(), "Ünïcode 'O''Brien' ");
    assert_eq!(refused.key.unwrap().as_str(), "household-3");
    assert_eq!(refused.source.unwrap(), "crm");
}

proptest! {
    #[test]
    fn every_row_comes_back(
        tenant in "[^\0]{1,40}", entity in "[^\0]{1,40}", key in "[^\0]{1,40}",
        seq in 1_u64.., generation in 1_u64.., version in any::<u64>(), text in any::<String>(),
    ) {
        let data = serde_json::json!({ "text": text }).to_string();
        let row = OutboxRow {
            at: EntryId::new(generation, seq),
            tenant: own(&tenant),
            entity: own(&entity),
            partition_key: own(&key),
            entity_version: version,
            data: own(&data),
            ..row()
        };
        let entry = encode_owned(&row, &app("crm"));
        let Decoded { event, sequence } = decode(&owned_feed(), &entry).unwrap();
        prop_assert_eq!(entry.id, row.at);
        prop_assert_eq!(event.tenant.as_str(), tenant);
        prop_assert_eq!(event.entity.as_str(), entity);
        prop_assert_eq!(event.data.as_str(), data);
        prop_assert_eq!(sequence.partition_key.as_str(), key);
        prop_assert_eq!(sequence.entity_version, Some(version));
    }

    #[test]
    fn the_filter_agrees_with_decoding(targets in "(\\*|hr|crm|h r|, ?){0,6}") {
        let entry = altered("targetApplication", Some(&targets));
        let expected = Targets::parse(&targets).map_or(true, |targets| targets.include(&app("hr")));
        prop_assert_eq!(is_for(&entry, &app("hr")), expected);
    }
}

#[test]
fn what_names_nobody_is_for_everybody() {
    assert!(is_for(&altered("targetApplication", None), &app("hr")));
    assert!(!is_for(&version_1(), &app("crm")));
    assert!(is_for(&version_1(), &app("billing")));
    let many = vec!["x"; 65].join(",");
    assert!(is_for(
        &altered("targetApplication", Some(&many)),
        &app("hr")
    ));
}

#[test]
fn new_events_come_back_from_the_shared_stream() {
    let data = Json::parse(r#"{"a":1}"#).unwrap();
    let decoded = decode(&owned_feed(), &version_1()).unwrap();
    let Event {
        event_type,
        tenant,
        entity,
        id,
        ..
    } = decoded.event;
    let event = NewEvent {
        target: Targets::Only(vec![app("hr")]),
        ..NewEvent::new(event_type, tenant, entity, data)
    };
    let sent = encode_shared(&event, &id, &app("crm"), "2024-01-01T00:00:00.000Z");
    let got = decode_shared(sent).unwrap().event;
    assert_eq!(
        (got.id, got.tenant, got.entity),
        (id, event.tenant, event.entity)
    );
    assert_eq!(
        (got.data, got.target, got.source),
        (event.data, event.target, app("crm"))
    );
    assert_eq!(got.timestamp, "2024-01-01T00:00:00.000Z");
}
