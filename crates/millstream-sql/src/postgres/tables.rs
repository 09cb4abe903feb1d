//! What the application's own tables look like.

use std::collections::HashSet;
use std::sync::Arc;

use tokio_postgres::{GenericClient, ToStatement};

use millstream_core::error::Error;
use millstream_core::store::{Column, Table};
use millstream_core::value::ColumnKind;

use crate::capture::TRIGGERS;
use crate::described;
use crate::identifier::{Prefix, Quoted};
use crate::postgres::database::while_doing;
use crate::postgres::types;

/// A table in a statement; a name with a dot names its schema too.
pub(super) fn relation(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", Quoted(schema), Quoted(table)),
        None => Quoted(name).to_string(),
    }
}

/// What a table is declared as: its columns, indexes, and triggers but for those that capture. Each foreign
/// key has triggers on both of its tables.
pub(super) const DECLARED: &str = "
    SELECT (SELECT string_agg(concat_ws(' ', attname, atttypid, atttypmod, attnotnull, atthasdef,
                                        attgenerated, attidentity, attcollation), ',' ORDER BY attnum)
            FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped),
           (SELECT string_agg(concat_ws(' ', indexrelid, indisunique, indisvalid, indimmediate, indkey),
                              ',' ORDER BY indexrelid)
            FROM pg_index WHERE indrelid = t.oid),
           (SELECT string_agg(concat_ws(' ', oid, tgenabled), ',' ORDER BY oid)
            FROM pg_trigger WHERE tgrelid = t.oid AND NOT starts_with(tgname::text, $2))
    FROM (SELECT to_regclass($1::text) AS oid) t";

/// What stands for that. In a transaction that has written to the table, it stays so until the end.
pub(super) async fn version(
    db: &impl GenericClient,
    declared: &(impl ToStatement + ?Sized + Sync + Send),
    prefix: &Prefix,
    name: &str,
) -> Result<u64, Error> {
    let row = db
        .query_one(declared, &[&relation(name), &prefix.sql(TRIGGERS)])
        .await
        .map_err(while_doing("describe a table"))?;
    Ok(described::version(
        [0, 1, 2].map(|part| row.get::<_, Option<String>>(part)),
    ))
}

/// Describes a table; none if there is no table of this name. Views are not written to.
pub(super) async fn describe(
    db: &impl GenericClient,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<Table>, Error> {
    let failed = while_doing("describe a table");
    let row = db
        .query_opt(
            "SELECT oid FROM pg_class
             WHERE oid = to_regclass($1::text) AND relkind IN ('r', 'p')",
            &[&relation(name)],
        )
        .await
        .map_err(failed)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let table: u32 = row.get(0);
    // First: what is altered from here on is noticed by whoever writes to it.
    let version = version(db, DECLARED, prefix, name).await?;

    let rows = db
        .query(
            &format!(
                "{} SELECT a.attname::text, format_type(b.type, -1),
                    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
                    a.attgenerated <> '' OR a.attidentity = 'a',
                    coalesce(c.collisdeterministic, true), b.is_array
             FROM pg_attribute a
             JOIN columns b USING (attnum)
             LEFT JOIN pg_collation c ON c.oid = a.attcollation
             WHERE a.attrelid = $1 ORDER BY attnum",
                types::columns("$1")
            ),
            &[&table],
        )
        .await
        .map_err(failed)?;
    let mut bending: HashSet<Arc<str>> = HashSet::new();
    let mut columns = Vec::new();
    for row in rows {
        let name: Arc<str> = row.get::<_, &str>(0).into();
        let declared: &str = row.get(1);
        let is_array: bool = row.get(5);
        let bends = is_array || bends(declared) || !row.get::<_, bool>(4);
        if bends {
            bending.insert(name.clone());
        }
        columns.push(Column {
            name,
            // Arrays are JSON.
            kind: match is_array {
                true => ColumnKind::Any,
                false => kind(declared),
            },
            generated: row.get(3),
            required: row.get(2),
            bends,
        });
    }

    // One that is checked at the end cannot say which row an upsert means.
    let rows = db
        .query(
            "SELECT array_agg(a.attname::text ORDER BY k.ord), i.indimmediate
             FROM pg_index i
             CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, ord)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid
               AND i.indpred IS NULL AND i.indexprs IS NULL AND k.ord <= i.indnkeyatts
             GROUP BY i.indexrelid, i.indisprimary, i.indimmediate
             ORDER BY i.indisprimary DESC, i.indexrelid",
            &[&table],
        )
        .await
        .map_err(failed)?;
    let mut unique: Vec<Vec<Arc<str>>> = Vec::new();
    let mut folded = false;
    for row in rows {
        let key: Vec<&str> = row.get(0);
        let key: Vec<Arc<str>> = key.into_iter().map(Arc::from).collect();
        folded |= key.iter().any(|column| bending.contains(column));
        if row.get::<_, bool>(1) && !unique.contains(&key) {
            unique.push(key);
        }
    }
    Ok(Some(Table {
        columns,
        unique,
        related: folded || is_related(db, prefix, table).await?,
        version,
    }))
}

/// Whether a change of the table may reach other rows, or be reached by them: by a trigger, by a rule,
/// or by a foreign key either way. So is every table where any trigger is: what it writes to, by way of
/// views and other triggers, is not ours to follow. Those that capture tables leave our own changes alone.
async fn is_related(db: &impl GenericClient, prefix: &Prefix, table: u32) -> Result<bool, Error> {
    let ours = ["~outbox", "~millstream_shards"].map(|name| Quoted(&prefix.sql(name)).to_string());
    db.query_one(
        "SELECT EXISTS (SELECT 1 FROM pg_trigger
                        WHERE NOT tgisinternal AND tgrelid IS DISTINCT FROM to_regclass($2::text)
                          AND tgrelid IS DISTINCT FROM to_regclass($3::text)
                          AND NOT starts_with(tgname::text, $4))
             OR EXISTS (SELECT 1 FROM pg_constraint
                        WHERE contype = 'f' AND (conrelid = $1 OR confrelid = $1))
             OR EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = $1)",
        &[&table, &ours[0], &ours[1], &prefix.sql(TRIGGERS)],
    )
    .await
    .map(|row| row.get(0))
    .map_err(while_doing("describe a table"))
}

/// What a type takes.
pub(super) fn kind(declared: &str) -> ColumnKind {
    match declared {
        "smallint" | "integer" | "bigint" => ColumnKind::Integer,
        "real" | "double precision" => ColumnKind::Real,
        "numeric" => ColumnKind::Numeric,
        "boolean" => ColumnKind::Boolean,
        "text" | "character varying" | "bpchar" | "character" | "name" | "citext" | "uuid" => {
            ColumnKind::Text
        }
        "json" | "jsonb" => ColumnKind::Json,
        "bytea" => ColumnKind::Blob,
        // Times are texts or numbers; whatever else there is reads its own text.
        _ => ColumnKind::Any,
    }
}

/// Whether the type takes two different texts for the same value.
fn bends(declared: &str) -> bool {
    !matches!(
        declared,
        "smallint"
            | "integer"
            | "bigint"
            | "boolean"
            | "text"
            | "character varying"
            | "name"
            | "bytea"
    )
}
