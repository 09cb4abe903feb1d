use proptest::prelude::*;

use super::*;
use crate::limits::SHAPES_MAX;

#[track_caller]
fn check(specs: &[Spec], event: &Decoded, expected: &str) {
    let plan = router(specs).plan(event, false);
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(show(&plan), expected.join("\n"));
}

/// One upsert that sets `column` from a path or an expression.
#[track_caller]
fn check_value(column: &str, value: ValueSpec, data: &str, expected: &str) {
    let spec = Spec {
        set: vec![(column.into(), value)],
        ..spec(&["*"], &[])
    };
    let plan = show(&router(&[spec]).plan(&event("user.created", data), false));
    let start = format!("upsert employees tenant_id='t1' user_id='7' set {column}=");
    assert_eq!(plan.strip_prefix(&start).unwrap_or(&plan), expected);
}

#[track_caller]
fn check_path(column: &str, path: &str, data: &str, expected: &str) {
    check_value(column, ValueSpec::Path(path.into()), data, expected);
}

const USER: [(&str, &str); 3] = [
    ("email", "data.email"),
    ("age", "data.age"),
    ("active", "data.active"),
];

#[test]
fn an_upsert_writes_what_the_event_has() {
    check(
        &[spec(&["user.created"], &USER)],
        &event(
            "user.created",
            r#"{"email":"a@b","age":36,"active":true,"more":[1]}"#,
        ),
        "upsert employees tenant_id='t1' user_id='7' set email='a@b' age=36 active=true",
    );
    check(
        &[spec(&["user.created"], &USER)],
        &event("user.created", r#"{"active":false,"email":null}"#),
        "upsert employees tenant_id='t1' user_id='7' set email=null active=false",
    );
    check(
        &[spec(&["user.created"], &USER)],
        &event("user.created", "{}"),
        "upsert employees tenant_id='t1' user_id='7'",
    );
}

#[test]
fn an_update_of_nothing_changes_nothing() {
    let update = Spec {
        op: Op::Update,
        ..spec(&["user.updated"], &USER)
    };
    check(
        std::slice::from_ref(&update),
        &event("user.updated", r#"{"x":1}"#),
        "nothing",
    );
    check(
        &[update],
        &event("user.updated", r#"{"age":1}"#),
        "update employees tenant_id='t1' user_id='7' set age=1",
    );
}

#[test]
fn a_delete_needs_the_key_only() {
    let delete = Spec {
        op: Op::Delete,
        ..spec(&["user.deleted"], &[])
    };
    check(
        &[delete],
        &event("user.deleted", r#"{"email":"a"}"#),
        "delete employees tenant_id='t1' user_id='7'",
    );
}

#[test]
fn ids_are_kept_byte_for_byte() {
    check(
        &[spec(&["*"], &[])],
        &event_of("O'Brien; --", "Ünïcode \"7\" ", "x", "{}"),
        "upsert employees tenant_id='O'Brien; --' user_id='Ünïcode \"7\" '",
    );
}

#[test]
fn types_are_matched_exactly_by_prefix_or_all() {
    let router = router(&[
        spec(&["user.created", "user.*"], &[("email", "data.a")]),
        spec(&["team.updated"], &[]),
        spec(&["user.profile.*"], &[("age", "data.b")]),
    ]);
    for (event_type, wanted) in [
        ("user.created", true),
        ("user.profile.changed", true),
        ("user", false),
        ("users.created", false),
        ("team.updated", true),
        ("team.updated.twice", false),
        ("Team.updated", false),
    ] {
        let skipped = matches!(router.plan(&event(event_type, "{}"), false), Plan::Skip);
        assert_eq!(skipped, !wanted, "{event_type}");
    }
    let plan = router.plan(&event("user.created", r#"{"a":"x","b":1}"#), false);
    assert_eq!(
        show(&plan),
        "upsert employees tenant_id='t1' user_id='7' set email='x'"
    );
}

#[test]
fn changes_come_in_the_order_of_the_mappings() {
    let audit = Spec {
        table: "audit".into(),
        key: paths(&[("id", "entityId")]),
        set: paths(&[("what", "eventType")]),
        ..spec(&["*"], &[])
    };
    check(
        &[audit, spec(&["user.created"], &[("email", "data.email")])],
        &event("user.created", r#"{"email":"a"}"#),
        "upsert audit id=7 set what='user.created'
         upsert employees tenant_id='t1' user_id='7' set email='a'",
    );
}

#[test]
fn handlers_are_called_whatever_is_mapped() {
    let update = Spec {
        op: Op::Update,
        ..spec(&["user.updated"], &USER)
    };
    let never = Spec {
        when: Some("false".into()),
        ..spec(&["never"], &[])
    };
    let router = router(&[update, never]);
    assert_eq!(show(&router.plan(&event("other", "{}"), true)), "handler");
    assert_eq!(
        show(&router.plan(&event("user.updated", "{}"), true)),
        "handler"
    );
    assert_eq!(show(&router.plan(&event("never", "{}"), true)), "handler");
    assert_eq!(show(&router.plan(&event("never", "{}"), false)), "skip");
    assert_eq!(
        show(&Router::default().plan(&event("x", "{}"), false)),
        "skip"
    );
}

#[test]
fn paths_lead_into_objects_and_arrays() {
    let data = r#"{"a":{"b":[{"c":"x"},7]},"a.b":1,"s":"text","n":null,"é":"y"}"#;
    let missing = "upsert employees tenant_id='t1' user_id='7'";
    for (path, expected) in [
        ("data.a.b.0.c", "'x'"),
        ("data.a.b.1", "'7'"),
        ("data.a.b", r#"'[{"c":"x"},7]'"#),
        ("data.n", "null"),
        ("data.é", "'y'"),
        ("data.a.b.2", missing),
        ("data.a.b.c", missing),
        ("data.a.b.-1", missing),
        ("data.s.0", missing),
        ("data.n.x", missing),
        ("metadata.correlationId", "'c1'"),
        ("metadata", r#"'{"correlationId":"c1"}'"#),
        ("eventId", "'e1'"),
        ("eventType", "'user.created'"),
        ("sourceApplication", "'crm'"),
        ("targetApplication", "'*'"),
        ("version", "'1.0'"),
        ("publishedBy", "'system'"),
        ("partitionKey", "'7'"),
        ("timestamp", "'1970-01-01T00:00:00.000Z'"),
    ] {
        check_path("email", path, data, expected);
    }
    check_path("tags", "data", " {\"a\" : 1}\n", "json {\"a\" : 1}");
}

#[test]
fn the_last_of_two_members_counts() {
    check_path("email", "data.a", r#"{"a":1,"\u0061":2}"#, "'2'");
    check_path(
        "email",
        "data.a.b",
        r#"{"a":{"b":1},"a":{"c":2}}"#,
        "upsert employees tenant_id='t1' user_id='7'",
    );
    check_value(
        "email",
        expression("string(data.a)"),
        r#"{"a":1,"a":2}"#,
        "'2'",
    );
}

#[test]
fn what_does_not_fit_is_invalid_and_not_shown() {
    let key = |path: &str| Spec {
        key: paths(&[("tenant_id", "tenantId"), ("user_id", path)]),
        ..spec(&["*"], &[])
    };
    let data = r#"{"null":null,"secret":"hunter2","broken":"\ud800"}"#;
    let event = event("user.created", data);
    for (spec, expected) in [
        (
            key("data.none"),
            "employees.user_id is part of the key, found nothing at data.none",
        ),
        (
            key("data.null"),
            "employees.user_id is part of the key, found null at data.null",
        ),
        (
            spec(&["*"], &[("age", "data.secret")]),
            "employees.age takes a whole number, found text that is not a whole number at data.secret",
        ),
        (
            spec(&["*"], &[("email", "data.broken")]),
            "employees.email takes text, found text that is not valid Unicode at data.broken",
        ),
        (
            spec(&["*"], &[("active", "metadata")]),
            "employees.active takes a boolean, found an object at metadata",
        ),
    ] {
        check(&[spec], &event, &format!("invalid: {expected}"));
    }
}

#[test]
fn expressions_compute_values() {
    let data = r#"{"first":"Ada","last":"L","n":3,"f":1.5,"list":[1,2],"sub":{"x":null},"exact":-0.02463253681604404}"#;
    for (column, source, expected) in [
        ("email", "data.first + ' ' + data.last", "'Ada L'"),
        ("email", "has(data.middle) ? data.middle : null", "null"),
        (
            "email",
            "data.?middle",
            "upsert employees tenant_id='t1' user_id='7'",
        ),
        ("email", "data.?first", "'Ada'"),
        ("email", "data.?middle.orValue('-')", "'-'"),
        ("email", "tenantId + ':' + entityId", "'t1:7'"),
        ("email", "metadata.correlationId", "'c1'"),
        ("age", "data.n * 2 + size(data.list)", "8"),
        ("age", "int(data.f)", "1"),
        ("salary", "data.f + 1.0", "number 2.5"),
        ("salary", "data.exact", "number -0.02463253681604404"),
        (
            "active",
            "eventType.startsWith('user.') && data.n in data.list",
            "false",
        ),
        ("active", "data.list.exists(x, x == 2)", "true"),
        ("tags", "data.list.map(x, x * 10)", "json [10,20]"),
        (
            "tags",
            "{'b': data.n, 'a': [data.sub]}",
            r#"json {"a":[{"x":null}],"b":3}"#,
        ),
        ("email", "string(data.first.matches('^A.a$'))", "'true'"),
        ("email", "type(data.n) == int ? 'int' : 'other'", "'int'"),
    ] {
        check_value(column, expression(source), data, expected);
    }
}

#[test]
fn expressions_fail_without_showing_values() {
    let data = r#"{"secret":"hunter2","zero":0,"big":9223372036854775807}"#;
    for (source, expected) in [
        (
            "data.none",
            "it asks for a member that is not there; has() tells",
        ),
        (
            "data[data.secret]",
            "it asks for a member that is not there; has() tells",
        ),
        (
            "data.secret + 1",
            "it puts types together that do not go together",
        ),
        ("1 / data.zero", "it divides by zero"),
        ("data.big + 1", "its number does not fit into 64 bits"),
        ("int(data.secret)", "one of its functions failed"),
        (
            "1.0 / double(data.zero)",
            "it gives a number that is not finite",
        ),
    ] {
        let expected =
            format!("invalid: employees.email has an expression that failed: {expected}");
        check_value("email", expression(source), data, &expected);
    }
    check_value(
        "age",
        expression("data.secret"),
        data,
        "invalid: employees.age takes a whole number, found text that is not a whole number",
    );
}

#[test]
fn conditions_decide_whether_a_mapping_applies() {
    let when = |source: &str| Spec {
        when: Some(source.into()),
        ..spec(&["*"], &[])
    };
    let event = event("user.created", r#"{"kind":"staff"}"#);
    let upsert = "upsert employees tenant_id='t1' user_id='7'";
    check(&[when("data.kind == 'staff'")], &event, upsert);
    check(&[when("data.kind != 'staff'")], &event, "skip");
    check(
        &[when("data.kind != 'staff'"), spec(&["*"], &[])],
        &event,
        upsert,
    );
    check(
        &[when("data.kind")],
        &event,
        "invalid: the condition for employees failed: it gives neither true nor false",
    );
    check(
        &[when("data.none == 1")],
        &event,
        "invalid: the condition for employees failed: it asks for a member that is not there; has() tells",
    );
}

#[test]
fn constants_are_what_they_are() {
    let constant = |json| ValueSpec::Constant(json);
    check_value("age", constant(json!(7)), "{}", "7");
    check_value("email", constant(json!(null)), "{}", "null");
    check_value("tags", constant(json!(["a"])), "{}", r#"json ["a"]"#);
}

fn shape_of(plan: &Plan) -> Arc<crate::change::Shape> {
    match plan {
        Plan::Apply { changes, .. } => Arc::clone(&changes[0].shape),
        _ => panic!("no change"),
    }
}

#[test]
fn equal_statements_are_one() {
    let router = router(&[spec(&["a"], &USER), spec(&["b"], &USER), spec(&["c"], &[])]);
    let shape = |event_type, data| shape_of(&router.plan(&event(event_type, data), false));
    let full = r#"{"email":"a","age":1,"active":true}"#;
    assert!(Arc::ptr_eq(&shape("a", full), &shape("b", full)));
    assert!(Arc::ptr_eq(
        &shape("a", r#"{"age":1}"#),
        &shape("a", r#"{"age":2}"#)
    ));
    assert_eq!(shape("a", r#"{"age":1}"#), shape("b", r#"{"age":1}"#));
    assert_eq!(shape("a", full).table_number, shape("c", full).table_number);
    assert_eq!(shape("a", full).key_number, shape("c", full).key_number);
    assert!(!shape("a", full).ordered);
}

#[test]
fn the_order_of_key_columns_does_not_matter() {
    let mut other = spec(&["b"], &USER);
    other.key.reverse();
    let router = router(&[spec(&["a"], &USER), other]);
    let shape = |event_type| shape_of(&router.plan(&event(event_type, "{}"), false));
    assert_eq!(shape("a"), shape("b"));
}

#[test]
fn rows_found_by_two_keys_stay_in_order() {
    let by_email = Spec {
        key: paths(&[("email", "data.email")]),
        op: Op::Delete,
        ..spec(&["b"], &[])
    };
    let router = router(&[spec(&["a"], &[]), by_email]);
    let shape = |event_type| shape_of(&router.plan(&event(event_type, r#"{"email":"a"}"#), false));
    assert_ne!(shape("a").key_number, shape("b").key_number);
    assert!(shape("a").ordered && shape("b").ordered);
}

#[test]
fn remembered_statements_are_bounded() {
    let columns: Vec<String> = (0..9).map(|n| format!("c{n}")).collect();
    let list: Vec<String> = columns.iter().map(|c| format!("{c} text")).collect();
    let wide = table(&format!("id text!, {}", list.join(",")), &["id"]);
    let set = columns
        .iter()
        .map(|c| (c.clone(), ValueSpec::Path(format!("data.{c}"))))
        .collect();
    let key = paths(&[("id", "entityId")]);
    let spec = Spec {
        table: "wide".into(),
        key,
        set,
        ..spec(&["*"], &[])
    };
    let router = super::super::compile(&[spec], &HashMap::from([("wide".into(), wide)])).unwrap();
    for mask in 0..2 * SHAPES_MAX {
        let present = columns
            .iter()
            .enumerate()
            .filter(|(n, _)| mask & 1 << n != 0);
        let members: Vec<String> = present.map(|(_, c)| format!("\"{c}\":\"\"")).collect();
        let plan = router.plan(&event("x", &format!("{{{}}}", members.join(","))), false);
        assert_eq!(shape_of(&plan).set.len(), members.len());
    }
}

#[test]
fn a_router_is_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Router>();
}

proptest! {
    #[test]
    fn any_object_gives_a_plan(email in any::<String>(), age in any::<f64>(), key in "\\PC{0,9}") {
        let data = json!({ "email": email, "age": age, key: { "x": email } });
        let plan = router(&[spec(&["*"], &USER)]).plan(&event("x", &data.to_string()), false);
        match plan {
            Plan::Apply { changes, .. } => prop_assert_eq!(changes.len(), 1),
            Plan::Invalid(reason) => {
                prop_assert!(email.len() < 20 || !reason.as_str().contains(&email));
            }
            Plan::Skip => prop_assert!(false),
        }
    }
}
