use super::*;

const LEAST: [(&str, &str); 4] = [
    ("eventType", "user.created"),
    ("tenantId", "t1"),
    ("entityId", "7"),
    ("eventData", r#"{"name":"Ada"}"#),
];

#[test]
fn what_is_missing_is_filled_in() {
    // The id is part of the wire: another one would apply an entry twice.
    check_shared(
        LEAST,
        r#"
        id: 3e90d59e-9f56-50ba-9de0-ae3d862627b3
        type: user.created
        tenant: t1
        entity: 7
        data: {"name":"Ada"}
        "#,
    );
}

#[test]
fn an_id_follows_from_stream_entry_and_fields() {
    let id = |feed: &Feed, at, list: &[(&str, &str)]| {
        let entry = Entry {
            id: at,
            fields: fields(list.iter().copied()),
        };
        decode(feed, &entry).unwrap().event.id
    };
    let first = id(&shared_feed(), AT, &LEAST);
    assert_eq!(first, id(&shared_feed(), AT, &LEAST));
    assert_ne!(first, id(&shared_feed(), EntryId::new(AT.high, 1), &LEAST));
    assert_ne!(
        first,
        id(&Feed::Shared(StreamName::new("other").unwrap()), AT, &LEAST)
    );
    let mut other = LEAST;
    other[2].1 = "8";
    assert_ne!(first, id(&shared_feed(), AT, &other));
}

#[test]
fn required_fields_are_required() {
    for (name, _) in LEAST {
        let rest = LEAST.into_iter().filter(|(field, _)| *field != name);
        let refused = decode_shared(fields(rest)).unwrap_err();
        assert_eq!(refused.reason.as_str(), format!("field {name} is missing"));
    }
}

#[test]
fn fields_of_owned_streams_mean_nothing() {
    let claims = [
        ("sourceApplication", "crm"),
        ("partitionKey", "elsewhere"),
        ("wire", "99"),
        ("seq", "x"),
        ("generation", ""),
        ("entityVersion", "-1"),
        ("prev", ""),
    ];
    check_shared(
        LEAST.into_iter().chain([("eventId", "e1")]).chain(claims),
        r#"
        id: e1
        type: user.created
        source: crm
        tenant: t1
        entity: 7
        data: {"name":"Ada"}
        "#,
    );
}

#[test]
fn what_cannot_be_decoded_waits_behind_its_entity() {
    let broken = LEAST.into_iter().filter(|(name, _)| *name != "eventData");
    for extra in [
        [("partitionKey", "elsewhere"), ("specversion", "0")],
        [("partitionKey", "x"), ("a", "b")],
    ] {
        let refused = decode_shared(fields(broken.clone().chain(extra))).unwrap_err();
        assert_eq!(refused.key.unwrap().as_str(), "7");
        assert_eq!(refused.event_type.unwrap(), "user.created");
    }
}

#[test]
fn the_first_of_two_fields_counts() {
    check_shared(
        LEAST
            .into_iter()
            .chain([("eventId", "e1"), ("eventId", "e2"), ("tenantId", "t2")]),
        r#"
        id: e1
        type: user.created
        tenant: t1
        entity: 7
        data: {"name":"Ada"}
        "#,
    );
}
