use millstream_core::change::Op;
use millstream_core::mapping::{Spec, ValueSpec};

use super::{Consumer, Source};
use crate::suite::Site;

/// The application's own tables.
pub(super) const TABLES: &str = "
    CREATE TABLE people (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL,
      name VARCHAR(255), email VARCHAR(255), age INTEGER,
      PRIMARY KEY (tenant_id, id)
    );
    CREATE TABLE memberships (
      tenant_id VARCHAR(64) NOT NULL, person VARCHAR(64) NOT NULL,
      department VARCHAR(64) NOT NULL, since VARCHAR(64),
      PRIMARY KEY (tenant_id, person, department)
    );
    CREATE TABLE accounts (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL, balance INTEGER NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );
    CREATE TABLE effects (
      tenant_id VARCHAR(64) NOT NULL, id VARCHAR(64) NOT NULL,
      PRIMARY KEY (tenant_id, id)
    );";

/// A mapping by paths into the event: `column = path`.
pub fn spec(on: &str, op: Op, table: &str, key: &[&str], set: &[&str]) -> Spec {
    let paths = |list: &[&str]| {
        list.iter()
            .map(|binding| {
                let (column, path) = binding.split_once(" = ").expect("column = path");
                (column.into(), ValueSpec::Path(path.into()))
            })
            .collect()
    };
    Spec {
        on: vec![on.into()],
        table: table.into(),
        key: paths(key),
        set: paths(set),
        op,
        when: None,
    }
}

/// How events become rows of [`TABLES`].
pub(super) fn mappings() -> Vec<Spec> {
    let row = ["tenant_id = tenantId", "id = entityId"];
    let member = [
        "tenant_id = tenantId",
        "person = entityId",
        "department = data.department",
    ];
    let data = ["name = data.name", "email = data.email", "age = data.age"];
    vec![
        spec("person.set", Op::Upsert, "people", &row, &data),
        spec("person.renamed", Op::Update, "people", &row, &data[..1]),
        spec("person.left", Op::Delete, "people", &row, &[]),
        // Found by other columns than its rows are made by: its order against them matters.
        spec(
            "person.left",
            Op::Delete,
            "memberships",
            &["tenant_id = tenantId", "person = entityId"],
            &[],
        ),
        spec(
            "member.set",
            Op::Upsert,
            "memberships",
            &member,
            &["since = data.since"],
        ),
        spec("member.removed", Op::Delete, "memberships", &member, &[]),
        spec(
            "account.opened",
            Op::Upsert,
            "accounts",
            &row,
            &["balance = data.balance"],
        ),
    ]
}

/// A database with [`TABLES`], and its consumer of a shard.
pub(super) async fn ready<S: Site>() -> (S, Source, Consumer<S::Handle>) {
    ready_with("").await
}

pub(super) async fn ready_with<S: Site>(prefix: &str) -> (S, Source, Consumer<S::Handle>) {
    let site = S::make(prefix).await;
    site.execute(TABLES).await.expect("the tables are made");
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}
