use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const COLUMNS: [&str; 3] = ["a", "b", "c"];

/// Shapes over two tables: every op, every column set of an upsert.
fn shapes(ordered: bool) -> Vec<Arc<Shape>> {
    let mut shapes = Vec::new();
    for table_number in 0..2u16 {
        for mask in 0..8u8 {
            for op in [Op::Upsert, Op::Update, Op::Delete] {
                if (op == Op::Delete) != (mask == 0) {
                    continue;
                }
                let set: Vec<Arc<str>> = (0..3)
                    .filter(|bit| mask & (1 << bit) != 0)
                    .map(|bit| COLUMNS[bit].into())
                    .collect();
                shapes.push(Arc::new(Shape {
                    table_number,
                    table: format!("t{table_number}").into(),
                    version: 1,
                    key_number: 0,
                    key: ["tenant".into(), "id".into()].into(),
                    set: set.into(),
                    required: [].into(),
                    op,
                    ordered,
                }));
            }
        }
    }
    shapes
}

type Rows = BTreeMap<(u16, String), BTreeMap<String, String>>;

/// One change after another, as plainly as possible. An update of a missing row does nothing.
fn write(rows: &mut Rows, change: &Change) {
    let key = (
        change.shape.table_number,
        change.key.iter().map(text).collect::<Vec<_>>().join("/"),
    );
    match change.shape.op {
        Op::Delete => {
            rows.remove(&key);
            return;
        }
        Op::Update if !rows.contains_key(&key) => return,
        Op::Update | Op::Upsert => {}
    }
    let row = rows.entry(key).or_default();
    for (column, value) in change.shape.set.iter().zip(&change.set) {
        row.insert(column.to_string(), text(value));
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.to_string(),
        Value::Integer(n) => n.to_string(),
        other => panic!("not used here: {other:?}"),
    }
}

fn changes(ordered: bool) -> impl Strategy<Value = Vec<Change>> {
    let shapes = shapes(ordered);
    let one = (0..shapes.len(), 0..2u8, 0..3u8).prop_map(move |(shape, tenant, id)| {
        let shape = shapes[shape].clone();
        (shape, tenant, id)
    });
    prop::collection::vec(one, 0..40).prop_map(|list| {
        let mut sequence = 0;
        list.into_iter()
            .map(|(shape, tenant, id)| Change {
                key: [tenant, id]
                    .map(|part| Value::Text(part.to_string().into()))
                    .into(),
                set: shape
                    .set
                    .iter()
                    .map(|_| {
                        sequence += 1;
                        Value::Integer(sequence)
                    })
                    .collect(),
                shape,
            })
            .collect()
    })
}

fn check(changes: &[Change]) -> Result<(), TestCaseError> {
    let mut expected = Rows::new();
    changes
        .iter()
        .for_each(|change| write(&mut expected, change));

    let mut found = Rows::new();
    for set in fold(changes) {
        let mut seen = std::collections::HashSet::new();
        for change in set.rows {
            prop_assert!(same(set.shape, &change.shape));
            prop_assert!(
                seen.insert(change.key.iter().map(text).collect::<Vec<_>>()),
                "a row stands twice in one set"
            );
            write(&mut found, change);
        }
    }
    prop_assert_eq!(found, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn folded_changes_end_in_the_same_rows(changes in changes(false)) {
        check(&changes)?;
    }

    #[test]
    fn ordered_changes_keep_their_order(changes in changes(true)) {
        check(&changes)?;
        let flat: Vec<_> = fold(&changes).into_iter().flat_map(|set| set.rows).collect();
        prop_assert!(flat.iter().zip(&changes).all(|(a, b)| std::ptr::eq(*a, b)));
    }
}

#[test]
fn the_same_columns_of_a_row_are_written_once() {
    let upsert = shapes(false)
        .into_iter()
        .find(|shape| *shape.set == ["a".into()])
        .unwrap();
    let change = |tenant: &str, value| Change {
        shape: upsert.clone(),
        key: vec![Value::Text(tenant.into()), Value::Text("7".into())],
        set: vec![Value::Integer(value)],
    };
    let changes = [change("acme", 1), change("globex", 2), change("acme", 3)];
    let sets = fold(&changes);
    assert_eq!(sets.len(), 1);
    let values: Vec<_> = sets[0].rows.iter().map(|row| text(&row.set[0])).collect();
    assert_eq!(
        values,
        ["3", "2"],
        "one row a tenant, the last value of each"
    );
}
