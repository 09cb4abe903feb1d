//! What the application's own tables look like.

use std::collections::HashSet;
use std::sync::Arc;

use millstream_core::error::Error;
use millstream_core::store::{Column, Table};
use millstream_core::value::ColumnKind;

use crate::capture::TRIGGERS;
use crate::described;
use crate::identifier::Prefix;
use crate::sqlite::database::while_doing;

/// What stands for how a table is declared, with its indexes, and its triggers but for those that capture.
/// Within a transaction that writes, it stays so.
pub(super) fn version(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    name: &str,
) -> rusqlite::Result<u64> {
    // Not by the names in front, which a table that is renamed and renamed back has in quotes.
    let mut statement = db.prepare_cached(
        "SELECT type, name, sql LIKE 'CREATE UNIQUE %',
                CASE type WHEN 'trigger' THEN NULL ELSE substr(sql, instr(sql, '(')) END
         FROM sqlite_schema
         WHERE tbl_name = ?1 AND (type <> 'trigger' OR substr(name, 1, length(?2)) <> ?2)
         ORDER BY type, name",
    )?;
    let mut rows = statement.query([name, &prefix.sql(TRIGGERS)])?;
    let mut declared = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
        let (unique, text): (Option<bool>, Option<String>) = (row.get(2)?, row.get(3)?);
        declared.push((kind, name, unique, text));
    }
    Ok(described::version(declared))
}

/// Describes a table; none if there is no table of this name. Views are not written to.
pub(super) fn describe(
    db: &rusqlite::Connection,
    prefix: &Prefix,
    name: &str,
) -> Result<Option<Table>, Error> {
    read(db, prefix, name).map_err(while_doing("describe a table"))
}

fn read(db: &rusqlite::Connection, prefix: &Prefix, name: &str) -> rusqlite::Result<Option<Table>> {
    let exists: bool = db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
        [name],
        |row| row.get(0),
    )?;
    if !exists {
        return Ok(None);
    }

    // First: what is altered from here on is noticed by whoever writes to it.
    let version = version(db, prefix, name)?;
    let mut columns = Vec::new();
    let mut primary = Vec::new();
    let mut bending: HashSet<Arc<str>> = HashSet::new();
    let mut statement = db.prepare(
        "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden
         FROM pragma_table_xinfo(?1)",
    )?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let column: Arc<str> = row.get::<_, String>(0)?.into();
        let declared = row.get::<_, String>(1)?;
        let key_position: i64 = row.get(4)?;
        if key_position > 0 {
            primary.push((key_position, column.clone()));
        }
        let bends = bends(&declared);
        if bends {
            bending.insert(column.clone());
        }
        columns.push(Column {
            bends,
            kind: kind(&declared),
            generated: row.get::<_, i64>(5)? != 0,
            required: row.get::<_, bool>(2)? && !row.get::<_, bool>(3)?,
            name: column,
        });
    }
    primary.sort();

    let mut unique: Vec<Vec<Arc<str>>> = Vec::new();
    if !primary.is_empty() {
        unique.push(primary.into_iter().map(|(_, column)| column).collect());
    }
    let mut folded = unique
        .iter()
        .flatten()
        .any(|column| bending.contains(column));
    let mut statement = db.prepare(
        "SELECT l.name FROM pragma_index_list(?1) l WHERE l.\"unique\" AND NOT l.partial",
    )?;
    for index in statement.query_map([name], |row| row.get::<_, String>(0))? {
        let mut key = Vec::new();
        let mut statement =
            db.prepare("SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key ORDER BY seqno")?;
        let mut rows = statement.query([&index?])?;
        let mut plain = true;
        while let Some(row) = rows.next()? {
            match row.get::<_, Option<String>>(0)? {
                Some(column) => {
                    folded |= bending.contains(&*column);
                    key.push(column.into());
                }
                // An expression: no set of columns.
                None => plain = false,
            }
            folded |= row
                .get::<_, Option<String>>(1)?
                .is_some_and(|coll| coll != "BINARY");
        }
        if plain && !unique.contains(&key) {
            unique.push(key);
        }
    }

    Ok(Some(Table {
        columns,
        unique,
        related: folded || is_related(db, prefix, name)?,
        version,
    }))
}

/// Whether a change of the table may reach other rows, or be reached by them: by a trigger, by a
/// foreign key either way, or by a constraint with `ON CONFLICT REPLACE`. Whoever only mentions that
/// word is taken for one. So is every table where any trigger is: what it writes to, by way of views
/// and other triggers, is not ours to follow. Those that capture tables leave our own changes alone.
fn is_related(db: &rusqlite::Connection, prefix: &Prefix, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema
                        WHERE type = 'trigger' AND tbl_name <> ?2
                          AND substr(name, 1, length(?3)) <> ?3)
             OR EXISTS (SELECT 1 FROM sqlite_schema t, pragma_foreign_key_list(t.name) f
                        WHERE t.type = 'table'
                          AND (lower(t.name) = lower(?1) OR lower(f.\"table\") = lower(?1)))
             OR EXISTS (SELECT 1 FROM sqlite_schema
                        WHERE type = 'table' AND name = ?1 AND sql LIKE '%REPLACE%')",
        [name, &prefix.sql("~outbox"), &prefix.sql(TRIGGERS)],
        |row| row.get(0),
    )
}

/// What a declared type takes. SQLite itself would store anything anywhere.
///
/// The order follows SQLite's own rules of affinity (<https://sqlite.org/datatype3.html>), refined
/// by the names that people use to say more than SQLite keeps.
fn kind(declared: &str) -> ColumnKind {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if declared.is_empty() {
        ColumnKind::Any
    } else if has("BOOL") {
        ColumnKind::Boolean
    } else if has("INT") {
        ColumnKind::Integer
    } else if has("JSON") {
        ColumnKind::Json
    } else if has("CHAR") || has("CLOB") || has("TEXT") || has("UUID") {
        ColumnKind::Text
    } else if has("DATE") || has("TIME") {
        // By convention either text or a number.
        ColumnKind::Any
    } else if has("BLOB") {
        ColumnKind::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        ColumnKind::Real
    } else if has("NUM") || has("DEC") {
        ColumnKind::Numeric
    } else {
        ColumnKind::Any
    }
}

/// Whether the column may store two different values as equal ones: its affinity makes numbers of
/// texts (`NUMERIC`, and what SQLite does not know, such as `STRING` or `UUID`), or it takes 1 and 1.0.
fn bends(declared: &str) -> bool {
    let upper = declared.to_ascii_uppercase();
    let stays_text = ["CHAR", "CLOB", "TEXT"]
        .iter()
        .any(|part| upper.contains(part));
    match kind(declared) {
        ColumnKind::Integer | ColumnKind::Boolean | ColumnKind::Blob => false,
        _ => !stays_text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_described_as_the_mappings_need_it() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE employees (
               tenant_id TEXT, user_id TEXT, email TEXT NOT NULL, salary INTEGER NOT NULL DEFAULT 0,
               shout TEXT GENERATED ALWAYS AS (upper(email)), manager TEXT,
               PRIMARY KEY (tenant_id, user_id)
             );
             CREATE UNIQUE INDEX by_email ON employees (email);
             CREATE UNIQUE INDEX by_expression ON employees (lower(email));
             CREATE UNIQUE INDEX some ON employees (manager) WHERE manager IS NOT NULL;",
        )
        .unwrap();
        let table = describe(&db, &Prefix::default(), "employees")
            .unwrap()
            .unwrap();
        let show = |column: &Column| {
            format!(
                "{} {:?} {} {}",
                column.name, column.kind, column.generated, column.required
            )
        };
        assert_eq!(
            table.columns.iter().map(show).collect::<Vec<_>>(),
            [
                "tenant_id Text false false",
                "user_id Text false false",
                "email Text false true",
                "salary Integer false false",
                "shout Text true false",
                "manager Text false false",
            ]
        );
        let unique: Vec<String> = table.unique.iter().map(|key| key.join(",")).collect();
        assert_eq!(unique, ["tenant_id,user_id", "email"]);
        assert!(!table.related);
        assert_eq!(describe(&db, &Prefix::default(), "nowhere").unwrap(), None);
    }

    #[test]
    fn a_table_that_reaches_others_is_related() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE parent (id TEXT PRIMARY KEY);
             CREATE TABLE child (id TEXT PRIMARY KEY, parent TEXT REFERENCES Parent);
             CREATE TABLE folded (id TEXT COLLATE NOCASE PRIMARY KEY);
             CREATE TABLE bent (id NUMERIC PRIMARY KEY);
             CREATE TABLE replaced (id TEXT PRIMARY KEY, x TEXT UNIQUE ON CONFLICT REPLACE);
             CREATE TABLE plain (id VARCHAR(9), n INTEGER, salary REAL, PRIMARY KEY (id, n));
             CREATE TABLE alone (id TEXT PRIMARY KEY);",
        )
        .unwrap();
        for (name, related) in [
            ("parent", true),
            ("child", true),
            ("folded", true),
            ("bent", true),
            ("replaced", true),
            ("plain", false),
            ("alone", false),
        ] {
            assert_eq!(
                describe(&db, &Prefix::default(), name)
                    .unwrap()
                    .unwrap()
                    .related,
                related,
                "{name}"
            );
        }
    }

    #[test]
    fn where_a_trigger_is_no_table_stands_alone() {
        let mut db = rusqlite::Connection::open_in_memory().unwrap();
        let app = millstream_core::name::AppName::new("hr").unwrap();
        crate::sqlite::migrate(&mut db, &app, &Prefix::default(), None).unwrap();
        db.execute_batch(
            "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (id TEXT PRIMARY KEY);",
        )
        .unwrap();
        let related = |db: &rusqlite::Connection| {
            describe(db, &Prefix::default(), "b")
                .unwrap()
                .unwrap()
                .related
        };
        assert!(!related(&db), "our own triggers are of our own tables");
        db.execute_batch("CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; END")
            .unwrap();
        assert!(related(&db));
    }
}
