use super::*;
use crate::event::Json;
use crate::limits::{FIELD_BYTES_MAX, JSON_DEPTH_MAX, JSON_NODES_MAX};

fn with_data(data: impl Into<Bytes>) -> Fields {
    let mut list = fields([("eventType", "t"), ("tenantId", "t1"), ("entityId", "7")]);
    list.push("eventData", data);
    list
}

#[track_caller]
fn check_data(data: impl Into<Bytes>, expected: &str) {
    let refused = decode_shared(with_data(data)).unwrap_err();
    assert_eq!(refused.reason.as_str(), expected);
    assert_eq!(refused.tenant.unwrap().as_str(), "t1");
}

#[test]
fn event_data_is_one_small_object() {
    check_data("", "field eventData is not a JSON object");
    check_data("null", "field eventData is not a JSON object");
    check_data("{} {}", "field eventData holds more than one JSON document");
    check_data("{}x", "field eventData holds more than one JSON document");
    check_data(
        r#"{"a":01}"#,
        "field eventData is not valid JSON at line 1, column 7",
    );
    check_data(
        &b"{\"a\":\"\xff\"}"[..],
        "field eventData is not UTF-8 from byte 6 on",
    );
    check_data("\u{feff}{}", "field eventData is not a JSON object");
    check_data(
        "x".repeat(300 * 1024),
        "field 4 has 307200 bytes, at most 262144 are allowed",
    );
}

#[test]
fn depth_bombs_are_not_parsed() {
    let too_deep = "field eventData is nested deeper than 64 levels";
    check_data(format!("{{\"a\":{}", "[".repeat(100_000)), too_deep);
    check_data("{\"a\":".repeat(40_000), too_deep);
    let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    assert!(Json::parse(nested(JSON_DEPTH_MAX - 1)).is_ok());
    assert_eq!(
        Json::parse(nested(JSON_DEPTH_MAX)),
        Err(json::Error::TooDeep)
    );
}

#[test]
fn nodes_are_counted_outside_strings() {
    let elements = |n: usize| format!("{{\"a\":[{}]}}", vec!["1"; n].join(","));
    assert!(Json::parse(elements(JSON_NODES_MAX - 2)).is_ok());
    assert_eq!(
        Json::parse(elements(JSON_NODES_MAX)),
        Err(json::Error::TooManyNodes)
    );
    let text = r#"{"a":"[[,,\"{{"}"#.replace("[[", &"[,\\\\".repeat(20_000));
    assert!(Json::parse(text).is_ok());
}

#[test]
fn json_is_checked_from_values_too() {
    assert_eq!(
        Json::try_from(serde_json::json!({"a": 1}))
            .unwrap()
            .as_str(),
        r#"{"a":1}"#
    );
    assert_eq!(
        Json::try_from(serde_json::json!([])),
        Err(json::Error::NotAnObject)
    );
    assert_eq!(
        Json::parse(" ".repeat(FIELD_BYTES_MAX + 1)),
        Err(json::Error::TooLong {
            bytes: FIELD_BYTES_MAX + 1
        })
    );
}

#[test]
fn entries_are_bounded() {
    let mut list = with_data("{}");
    for n in 0..2_000 {
        list.push(format!("f{n}"), "");
    }
    let refused = decode_shared(list).unwrap_err();
    assert_eq!(
        refused.reason.as_str(),
        "it has 2004 fields, at most 1000 are allowed"
    );
    assert_eq!(refused.key.unwrap().as_str(), "7");

    let mut list = with_data("{}");
    for name in ["a", "b", "c"] {
        list.push(name, "x".repeat(200 * 1024));
    }
    let refused = decode_shared(list).unwrap_err();
    assert_eq!(
        refused.reason.as_str(),
        "it has 614443 bytes, at most 524288 are allowed"
    );

    let members: Vec<String> = (0..2_000).map(|n| format!("\"f{n}\":0")).collect();
    let document = format!("{{{}}}", members.join(","));
    let refused = decode_shared(fields([("event", &*document)])).unwrap_err();
    assert_eq!(
        refused.reason.as_str(),
        "it has 2000 fields, at most 1000 are allowed"
    );
}

#[test]
fn reasons_hold_no_value() {
    let check = |name: &str, value: Bytes, expected: &str| {
        let list = with_data("{}")
            .iter()
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect::<Vec<_>>();
        let others = list.into_iter().filter(|(field, _)| field != name);
        let list = others.chain([(own(name), value)]).collect();
        assert_eq!(decode_shared(list).unwrap_err().reason.as_str(), expected);
    };
    check(
        "tenantId",
        own("a\0b"),
        "field tenantId is not valid as tenant id: allowed are all characters but NUL",
    );
    check(
        "entityId",
        own(&"x".repeat(256)),
        "field entityId is too long: entity id has 256 bytes, at most 255 are allowed",
    );
    check(
        "eventType",
        Bytes::from_static(b"\xffabc"),
        "field eventType is not UTF-8 from byte 0 on",
    );
    check(
        "sourceApplication",
        own("§"),
        "field sourceApplication is not valid as application name: allowed are letters, digits and -_.:",
    );
    check(
        "targetApplication",
        own("hr,§"),
        "field targetApplication is not valid as application name: allowed are letters, digits and -_.:",
    );
    check(
        "timestamp",
        own(&"9".repeat(256)),
        "field timestamp has 256 bytes, at most 255 are allowed",
    );
}

#[test]
fn a_name_that_is_not_utf_8_is_unknown() {
    let mut list = with_data("{}");
    list.push(&b"\xff"[..], "x");
    let unknown = decode_shared(list).unwrap().event.unknown;
    assert_eq!(unknown, [("\u{fffd}".into(), own("x"))]);
}
