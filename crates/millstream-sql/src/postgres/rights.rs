//! What our user may not do, and has to.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use millstream_core::change::Op;
use millstream_core::error::Error;
use millstream_core::mapping::Spec;

use crate::postgres::database::{Database, while_doing};
use crate::postgres::options::Options;
use crate::postgres::tables::relation;

const DOING: &str = "look at rights";

/// Our tables; all of them are read and written.
const OWN: [&str; 10] = [
    "~millstream_meta",
    "~millstream_instances",
    "~millstream_shards",
    "~millstream_inbox",
    "~millstream_keys",
    "~millstream_subscribers",
    "~millstream_exceptions",
    "~millstream_pruned",
    "~dead_letters",
    "~outbox",
];

const ALL: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// Says for each table of ours, and each that the mappings write to, which rights our user lacks, and
/// what grants them. A right on any of a table's columns counts as one on the table, and a table that is
/// not there lacks none.
///
/// # Errors
///
/// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when the database is away.
pub async fn missing_rights(options: &Options, mappings: &[Spec]) -> Result<Vec<String>, Error> {
    let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in OWN {
        wanted.insert(relation(&options.prefix.sql(name)), ALL.to_vec());
    }
    for mapping in mappings {
        let rights = wanted.entry(relation(&mapping.table)).or_default();
        for right in needed(mapping) {
            if !rights.contains(right) {
                rights.push(right);
            }
        }
    }
    let (tables, rights): (Vec<&str>, Vec<&str>) = wanted
        .iter()
        .flat_map(|(table, rights)| rights.iter().map(|right| (table.as_str(), *right)))
        .unzip();
    let database = Database::new(options.clone());
    let connection = database.connection(DOING).await?;
    let db: &Client = &connection;
    let rows = db
        .query(
            "SELECT w.name, string_agg(w.right_, ', ' ORDER BY w.at), quote_ident(current_user)
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (name, right_, at)
             CROSS JOIN LATERAL (SELECT to_regclass(w.name)::oid AS oid) t
             WHERE t.oid IS NOT NULL
               AND NOT CASE w.right_ WHEN 'DELETE' THEN has_table_privilege(t.oid, w.right_)
                                     ELSE has_any_column_privilege(t.oid, w.right_) END
             GROUP BY w.name ORDER BY w.name",
            &[&tables, &rights],
        )
        .await
        .map_err(while_doing(DOING))?;
    let told = |row: &tokio_postgres::Row| {
        let (table, rights, user): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        format!(
            "{user} lacks rights on table {table}: have its owner GRANT {rights} ON {table} TO {user}"
        )
    };
    Ok(rows.iter().map(told).collect())
}

/// What the statements of a mapping need; rows are found by their key, so all of them read.
fn needed(mapping: &Spec) -> &'static [&'static str] {
    match mapping.op {
        Op::Upsert if mapping.set.is_empty() => &["SELECT", "INSERT"],
        Op::Upsert => &["SELECT", "INSERT", "UPDATE"],
        Op::Update => &["SELECT", "UPDATE"],
        Op::Delete => &["SELECT", "DELETE"],
    }
}
