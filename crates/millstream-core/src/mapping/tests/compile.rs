use super::*;
use crate::limits::MAPPED_COLUMNS_MAX;

/// One line for each problem: `part: message (help)`.
#[track_caller]
fn check(spec: Spec, expected: &str) {
    let problems = super::super::compile(&[spec], &tables())
        .map(|_| ())
        .unwrap_err();
    let show = |problem: &Problem| {
        let part = match &problem.part {
            Part::On(index) => format!("on {index}"),
            Part::Key(column) => format!("key {column}"),
            Part::Set(column) => format!("set {column}"),
            part => format!("{part:?}").to_lowercase(),
        };
        let help = problem
            .help
            .as_ref()
            .map_or(String::new(), |help| format!(" ({help})"));
        format!("{part}: {problem}{help}")
    };
    let found: Vec<String> = problems.iter().map(show).collect();
    let expected: Vec<&str> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(found.join("\n"), expected.join("\n"));
}

fn set(column: &str, value: ValueSpec) -> Spec {
    Spec {
        set: vec![(column.into(), value)],
        ..spec(&["*"], &[])
    }
}

#[test]
fn patterns() {
    check(
        spec(&["user.created", "", "*.created", "user*", "user.*", "*", ".*"], &[]),
        "on 1: `` is no event type (a type such as `user.created`, all below one as `user.*`, or `*`)
         on 2: `*.created` is no event type (a type such as `user.created`, all below one as `user.*`, or `*`)
         on 3: `user*` is no event type (a type such as `user.created`, all below one as `user.*`, or `*`)
         on 6: `.*` is no event type (a type such as `user.created`, all below one as `user.*`, or `*`)",
    );
    check(
        spec(&[], &[]),
        "whole: it names no event type (on = \"user.created\")",
    );
}

#[test]
fn tables_and_columns() {
    check(
        Spec {
            table: "employes".into(),
            ..spec(&["*"], &[("anything", "data.x")])
        },
        "table: table `employes` does not exist \
         (did you mean `employees`? tables that were found: audit, employees)",
    );
    check(
        Spec {
            table: "a b; --".into(),
            ..spec(&["*"], &[])
        },
        "table: `a b; --` is not a usable name \
         (letters without accents, digits and _, beginning with no digit)",
    );
    check(
        spec(
            &["*"],
            &[
                ("Email", "data.x"),
                ("full_name", "data.x"),
                ("x\"", "data.x"),
            ],
        ),
        "set Email: employees has no column `Email` (did you mean `email`? columns of employees: \
         tenant_id, user_id, email, age, salary, active, tags)
         set full_name: employees.full_name is computed by the database (leave it out)
         set x\": `x\"` is not a usable name \
         (letters without accents, digits and _, beginning with no digit)",
    );
    let long = "x".repeat(64);
    check(
        spec(&["*"], &[(&long, "data.x")]),
        &format!("set {long}: `{long}` has 64 bytes, at most 63 are allowed"),
    );
}

#[test]
fn keys() {
    check(
        Spec {
            key: paths(&[("tenant_id", "tenantId"), ("age", "entityId")]),
            ..spec(&["*"], &[])
        },
        "whole: employees has no primary key or unique index on exactly (tenant_id, age) \
         (CREATE UNIQUE INDEX employees_tenant_id_age_key ON employees (tenant_id, age);)
         whole: employees.user_id is NOT NULL without a default, and not set \
         (set `user_id`, give it a default, or use mode = \"update\")",
    );
    check(
        Spec {
            key: Vec::new(),
            op: Op::Delete,
            ..spec(&["*"], &[])
        },
        "whole: it has no key (key = { tenant_id = \"tenantId\", user_id = \"entityId\" })",
    );
    let mut twice = spec(
        &["*"],
        &[
            ("email", "data.a"),
            ("email", "data.b"),
            ("user_id", "data.c"),
        ],
    );
    twice
        .key
        .push(("user_id".into(), ValueSpec::Constant(json!(null))));
    check(
        twice,
        "key user_id: `user_id` is in the key twice
         set email: `email` is set twice
         set user_id: `user_id` is in the key, and set (the key is written with the row: leave it out of `set`)
         key user_id: a key cannot be null
         whole: employees has no primary key or unique index on exactly (tenant_id, user_id, user_id) \
         (CREATE UNIQUE INDEX employees_tenant_id_user_id_user_id_key ON employees (tenant_id, user_id, user_id);)",
    );
}

#[test]
fn operations() {
    check(
        Spec {
            op: Op::Delete,
            ..spec(&["*"], &[("email", "data.a")])
        },
        "whole: it deletes rows, and sets columns",
    );
    check(
        Spec {
            op: Op::Update,
            ..spec(&["*"], &[])
        },
        "whole: it updates rows, but sets no column",
    );
    let many: Vec<String> = (0..=MAPPED_COLUMNS_MAX).map(|n| format!("c{n}")).collect();
    let set = many
        .iter()
        .map(|c| (c.clone(), ValueSpec::Constant(json!(1))))
        .collect();
    let spec = Spec {
        table: "none".into(),
        set,
        ..spec(&["*"], &[])
    };
    check(
        spec,
        "whole: it sets 65 columns, at most 64 are allowed (two mappings of the same event and key may share the columns)
         table: table `none` does not exist (tables that were found: audit, employees)",
    );
}

#[test]
fn paths_and_constants() {
    let roots = "A path begins with one of: eventId, eventType, version, sourceApplication, \
         targetApplication, tenantId, entityId, timestamp, publishedBy, partitionKey, data, metadata";
    let path = |text: &str| set("email", ValueSpec::Path(text.into()));
    check(
        path("email"),
        &format!(
            "set email: `email` begins with `email`, which no event has (did you mean `data.email`? {roots})"
        ),
    );
    check(
        path("tenant_id"),
        &format!(
            "set email: `tenant_id` begins with `tenant_id`, which no event has (did you mean `tenantId`? {roots})"
        ),
    );
    check(
        path("entityId.x"),
        "set email: `entityId.x` leads into `entityId`, which is text (only `data` and `metadata` hold anything below them)",
    );
    check(
        path("data..x"),
        "set email: `data..x` has an empty part between its dots",
    );
    check(
        set("age", ValueSpec::Constant(json!("seven"))),
        "set age: `age` takes a whole number, found text that is not a whole number",
    );
}

#[test]
fn expressions() {
    let check_when = |source: &str, expected: &str| {
        check(
            Spec {
                when: Some(source.into()),
                ..spec(&["*"], &[])
            },
            expected,
        );
    };
    let roots = "an expression may name: eventId, eventType, version, sourceApplication, \
         targetApplication, tenantId, entityId, timestamp, publishedBy, partitionKey, data, metadata";
    check_when(
        "tenant == 't1'",
        &format!(
            "when: the expression names `tenant`, which no event has (did you mean `tenantId`? {roots})"
        ),
    );
    check_when(
        "data.items.exists(x, y == 1)",
        &format!("when: the expression names `y`, which no event has ({roots})"),
    );
    check_when(
        "now() > timestamp",
        "when: the expression calls `now`, which does not exist (an expression may call: bool, bytes, contains, double, dyn, endsWith, hasValue, int, matches, none, of, ofNonZeroValue, or, orValue, size, startsWith, string, type, uint, value)",
    );
    check_when(
        "data.a.all(x, x.all(y, y.all(z, z)))",
        "when: the expression has more than 2 loops inside each other",
    );
    check_when(
        &"1 + ".repeat(300),
        "when: the expression has 1200 bytes, at most 1024 are allowed (a handler in code is the better place for it)",
    );
    let problems = super::super::compile(&[set("email", expression("data.x +"))], &tables());
    let problem = &problems.map(|_| ()).unwrap_err()[0];
    assert_eq!(problem.part, Part::Set("email".into()));
    assert!(
        problem
            .message
            .starts_with("the expression is not valid CEL at column "),
        "{problem}"
    );
    assert!(!problem.message.contains('\n'), "{problem}");
}

#[test]
fn deep_expressions_are_refused() {
    let source = format!("{}1{}", "(".repeat(500), ")".repeat(500));
    let problems = super::super::compile(&[set("email", expression(&source))], &tables());
    assert_eq!(problems.map(|_| ()).unwrap_err().len(), 1);
}

#[test]
fn problems_come_in_the_order_of_the_mappings() {
    let specs = [
        spec(&[], &[]),
        spec(&["*"], &[]),
        spec(&["*"], &[("x", "data.x")]),
    ];
    let problems = super::super::compile(&specs, &tables())
        .map(|_| ())
        .unwrap_err();
    let numbers: Vec<usize> = problems.iter().map(|problem| problem.mapping).collect();
    assert_eq!(numbers, [0, 2]);
    assert_eq!(table_names(&specs), ["employees".into()]);
}
