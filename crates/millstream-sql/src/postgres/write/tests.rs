use super::*;

fn shape(op: Op, key: &[&str], set: &[&str]) -> Shape {
    let names = |names: &[&str]| names.iter().map(|&name| Arc::from(name)).collect();
    Shape {
        table_number: 0,
        table: "employees".into(),
        version: 1,
        key_number: 0,
        key: names(key),
        set: names(set),
        required: [].into(),
        op,
        ordered: false,
    }
}

fn written(shape: &Shape) -> String {
    let types = Types::fixed(&[
        ("id", "integer"),
        ("title", "text"),
        ("odd\"name", "bpchar"),
    ]);
    statement(shape, Form::of(shape), &types).unwrap()
}

#[test]
fn each_op_has_one_statement() {
    assert_eq!(
        written(&shape(Op::Upsert, &["id"], &["title", "odd\"name"])),
        "INSERT INTO \"employees\" (\"id\", \"title\", \"odd\"\"name\") \
         SELECT v.c1::integer, v.c2::text, v.c3::bpchar \
         FROM unnest($1::text[], $2::text[], $3::text[]) AS v (c1, c2, c3) \
         ON CONFLICT (\"id\") DO UPDATE SET \
         \"title\" = excluded.\"title\", \"odd\"\"name\" = excluded.\"odd\"\"name\""
    );
    assert_eq!(
        written(&shape(Op::Upsert, &["id"], &[])),
        "INSERT INTO \"employees\" (\"id\") SELECT v.c1::integer \
         FROM unnest($1::text[]) AS v (c1) ON CONFLICT (\"id\") DO NOTHING"
    );
    assert_eq!(
        written(&shape(Op::Update, &["id"], &["title"])),
        "UPDATE \"employees\" AS t SET \"title\" = v.c2::text \
         FROM unnest($1::text[], $2::text[]) AS v (c1, c2) WHERE t.\"id\" = v.c1::integer"
    );
    assert_eq!(
        written(&shape(Op::Delete, &["id"], &[])),
        "DELETE FROM \"employees\" AS t USING unnest($1::text[]) AS v (c1) \
         WHERE t.\"id\" = v.c1::integer"
    );
}

#[test]
fn an_upsert_without_what_a_new_row_needs_only_updates() {
    let mut shape = shape(Op::Upsert, &["id"], &["title"]);
    shape.required = ["id".into(), "name".into()].into();
    assert_eq!(Form::of(&shape), Form::Update);
}

#[test]
fn a_column_that_is_not_there_is_misconfigured() {
    let shape = shape(Op::Update, &["id"], &["shift"]);
    let types = Types::fixed(&[("id", "integer")]);
    let error = statement(&shape, Form::Update, &types).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
}
