use super::*;

#[test]
fn the_nested_shape() {
    check_shared(
        [
            ("eventId", "e1"),
            ("eventType", "user.created"),
            ("version", "1.1"),
            ("data", r#"{"name":"Ada","entityId":7}"#),
            (
                "metadata",
                r#"{"version":"2.0","timestamp":"2023-05-05T00:00:00Z","tenantId":"t1"}"#,
            ),
        ],
        r#"
        id: e1
        type: user.created
        version: 1.1
        tenant: t1
        entity: 7
        timestamp: 2023-05-05T00:00:00Z
        data: {"name":"Ada","entityId":7}
        metadata: {"version":"2.0","timestamp":"2023-05-05T00:00:00Z","tenantId":"t1"}
        "#,
    );
}

#[test]
fn a_document_in_one_field() {
    let document = r#"{
        "eventId": "old", "eventId": "e\u0031", "eventType": "user.created", "tenantId": 12,
        "entityId": "7", "sourceApplication": null, "eventData": {"name": "Ada"}, "extra": [1, 2]
    }"#;
    for name in ["event", "data"] {
        check_shared(
            [(name, document)],
            r#"
            id: e1
            type: user.created
            tenant: 12
            entity: 7
            data: {"name": "Ada"}
            unknown: extra
            "#,
        );
    }
}

#[test]
fn a_sync_stream_of_the_origin() {
    check_shared(
        [
            ("streamId", "crm:sync:user:user_created"),
            ("messageId", "m1"),
            ("timestamp", "2023-05-05T00:00:00Z"),
            ("sourceApp", "crm"),
            ("eventType", "user_created"),
            ("entityType", "user"),
            ("entityId", "7"),
            ("tenantId", "t1"),
            ("action", "created"),
            ("data", r#"{"name":"Ada"}"#),
            (
                "metadata",
                r#"{"correlationId":"c","version":"1.0","retryCount":0}"#,
            ),
        ],
        r#"
        id: m1
        type: user.created
        source: crm
        tenant: t1
        entity: 7
        timestamp: 2023-05-05T00:00:00Z
        data: {"name":"Ada"}
        metadata: {"correlationId":"c","version":"1.0","retryCount":0}
        unknown: streamId entityType action
        "#,
    );
}

#[test]
fn a_credit_event_of_the_origin() {
    check_shared(
        [
            ("eventId", "evt_1"),
            ("eventType", "credit.allocated"),
            ("tenantId", "t1"),
            ("entityId", "org-1"),
            ("amount", "100.50"),
            ("userId", "7"),
            ("operationType", "say \"hi\""),
            ("timestamp", "2023-05-05T00:00:00Z"),
            ("source", "wrapper"),
            ("metadata", "{}"),
        ],
        r#"
        id: evt_1
        type: credit.allocated
        source: wrapper
        tenant: t1
        entity: org-1
        timestamp: 2023-05-05T00:00:00Z
        data: {"operationType":"say \"hi\"","userId":"7","amount":100.50}
        "#,
    );
}

#[test]
fn an_organization_assignment_of_the_origin() {
    check_shared(
        [
            ("eventId", "e1"),
            ("eventType", "organization.assignment.created"),
            ("source", "crm"),
            ("version", "1.1"),
            ("tenantId", "t1"),
            (
                "data",
                r#"{"assignmentId":"a1","userId":"7","isActive":true}"#,
            ),
        ],
        r#"
        id: e1
        type: organization.assignment.created
        version: 1.1
        source: crm
        tenant: t1
        entity: a1
        data: {"assignmentId":"a1","userId":"7","isActive":true}
        "#,
    );
}

#[test]
fn a_cloud_event() {
    let expected = r#"
        id: ID
        type: user.created
        source: crm
        tenant: t1
        entity: 7
        timestamp: 2023-05-05T00:00:00Z
        data: {"name":"Ada"}
        unknown: UNKNOWN
        "#;
    let id = "0190163d-8694-739b-aea5-966c26f8ad91";
    let document = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/crm/users","type":"user.created",
        "subject":"7","time":"2023-05-05T00:00:00Z","tenantid":"t1","data":{{"name":"Ada"}}}}"#
    );
    let expected_of = |unknown| expected.replace("ID", id).replace("UNKNOWN", unknown);
    check_shared(
        [("event", &*document)],
        &expected_of("source id specversion"),
    );
    let attributes = [
        ("specversion", "1.0"),
        ("id", id),
        ("source", "https://crm/users"),
        ("type", "user.created"),
        ("subject", "7"),
        ("time", "2023-05-05T00:00:00Z"),
        ("tenantid", "t1"),
        ("data", r#"{"name":"Ada"}"#),
    ];
    check_shared(attributes, &expected_of("specversion id source"));
}

#[test]
fn an_id_of_a_cloud_event_is_one_of_its_source() {
    let id = |source, id| {
        let list = [
            ("specversion", "1.0"),
            ("id", id),
            ("source", source),
            ("type", "t"),
            ("subject", "7"),
            ("tenantid", "t1"),
            ("data", "{}"),
        ];
        decode_shared(fields(list)).unwrap().event.id.to_string()
    };
    assert_eq!(id("/crm", "1"), "/crm#1");
    let long = "x".repeat(300);
    assert_eq!(id(&long, "1").len(), 36);
    assert_ne!(id(&long, "1"), id(&long, "2"));
}

#[test]
fn what_no_dialect_knows_is_refused() {
    let check = |list: &[(&str, &str)], expected: &str| {
        let refused = decode_shared(fields(list.iter().copied())).unwrap_err();
        assert_eq!(refused.reason.as_str(), expected);
    };
    check(&[], "field eventType is missing");
    check(&[("message", "hello")], "field eventType is missing");
    check(&[("event", "hello")], "field event is not a JSON object");
    check(
        &[("event", "{}{}")],
        "field event holds more than one JSON document",
    );
    check(
        &[("event", r#"{"a":"\ud800"}"#)],
        "field eventType is missing",
    );
    check(
        &[("specversion", "0.3"), ("id", "1")],
        "field specversion is not 1.0",
    );
    let list = [
        ("eventType", "t"),
        ("tenantId", "t"),
        ("entityId", "e"),
        ("data", "text"),
    ];
    check(&list, "field eventData is not a JSON object");
}
