//! Triggers that turn changes of a table into rows of the outbox.

use async_trait::async_trait;
use rusqlite::Connection;

use millstream_core::capture::{Capture, Captured, Happening, Source, TENANT_DEFAULT};
use millstream_core::error::Error;

use crate::capture::{
    self, Column, NOTES, NOTES_END, Note, Plan, check_table, missing, named, nobodys,
    tables_missing,
};
use crate::identifier::{Prefix, Quoted};
use crate::sqlite::database::{Database, while_doing};
use crate::sqlite::leases::immediate;
use crate::sqlite::migrate;

const DOING: &str = "capture a table";

/// The row of our meta table that our own transactions have in it, as nobody else ever sees it.
pub(super) const APPLYING: &str = "applying";

/// Bytes of an event's data, as the outbox has it.
const DATA_BYTES_MAX: usize = 262_144;

/// What the triggers of a table end in. An update of the key is a trigger of its own.
const TRIGGERS: [&str; 4] = ["_i", "_u", "_k", "_d"];

#[async_trait]
impl Capture for Database {
    async fn capture_statements(&self, source: &Source) -> Result<Vec<String>, Error> {
        let source = source.clone();
        self.read(move |db, options| {
            let columns = prepare(db, &options.prefix, &source)?;
            let plan = Plan::of(&source, &columns)?;
            statements(&options.prefix, &plan)
        })
        .await
    }

    async fn capture(&self, source: &Source) -> Result<(), Error> {
        let source = source.clone();
        self.write(move |db, options| {
            let failed = while_doing(DOING);
            let prefix = &options.prefix;
            let tx = immediate(db, &failed)?;
            let columns = prepare(&tx, prefix, &source)?;
            let plan = Plan::of(&source, &columns)?;
            for statement in statements(prefix, &plan)? {
                tx.execute_batch(&statement).map_err(&failed)?;
            }
            let note = prefix.sql(
                "INSERT INTO ~millstream_meta (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            );
            let name = format!("{NOTES}{}", source.table);
            tx.execute(&note, [&name, &plan.note(&columns)])
                .map_err(&failed)?;
            tx.commit().map_err(&failed)
        })
        .await
    }

    async fn uncapture_statements(&self, table: &str) -> Result<Vec<String>, Error> {
        let table = table.to_owned();
        self.read(move |_, options| Ok(drops(&options.prefix, &table)))
            .await
    }

    async fn uncapture(&self, table: &str) -> Result<bool, Error> {
        let table = table.to_owned();
        self.write(move |db, options| {
            let failed = while_doing("release a table");
            let tx = immediate(db, &failed)?;
            for statement in drops(&options.prefix, &table) {
                tx.execute_batch(&statement).map_err(&failed)?;
            }
            let forget = "DELETE FROM ~millstream_meta WHERE name = ?1";
            let name = format!("{NOTES}{table}");
            let known = tx
                .execute(&options.prefix.sql(forget), [&name])
                .map_err(&failed)?;
            tx.commit().map_err(&failed)?;
            Ok(known > 0)
        })
        .await
    }

    async fn captured(&self) -> Result<Vec<Captured>, Error> {
        self.read(|db, options| {
            let prefix = &options.prefix;
            let looked = captured(db, prefix).map_err(while_doing("look at captured tables"))?;
            Ok(looked)
        })
        .await
    }
}

/// Whether any table is captured in this database, so that our own changes must be told apart.
pub(super) fn is_any(db: &Connection, prefix: &Prefix) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM ~millstream_meta WHERE name >= ?1 AND name < ?2)";
    db.prepare_cached(&prefix.sql(sql))
        .and_then(|mut any| any.query_row([NOTES, NOTES_END], |row| row.get(0)))
        .map_err(while_doing("look for captured tables"))
}

fn captured(db: &Connection, prefix: &Prefix) -> rusqlite::Result<Vec<Captured>> {
    let sql = "SELECT substr(name, length(?1) + 1), value FROM ~millstream_meta
               WHERE name >= ?1 AND name < ?2 ORDER BY name";
    let mut notes = db.prepare(&prefix.sql(sql))?;
    let notes = notes.query_map([NOTES, NOTES_END], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut found = Vec::new();
    for note in notes {
        let (table, note) = note?;
        let Some(note) = Note::read(&note) else {
            found.push(capture::damaged(&table));
            continue;
        };
        let start = capture::trigger(prefix, &table);
        let mut triggers = true;
        for end in TRIGGERS {
            let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema
                                      WHERE type = 'trigger' AND name = ?1 AND tbl_name = ?2)";
            let name = format!("{start}{end}");
            triggers &= db.query_row(sql, [&name, &table], |row| row.get::<_, bool>(0))?;
        }
        let columns = columns(db, &table)?;
        found.push(note.judge(&table, columns.as_deref(), triggers));
    }
    Ok(found)
}

/// The columns of the table, if it is one that can be captured.
fn prepare(db: &Connection, prefix: &Prefix, source: &Source) -> Result<Vec<Column>, Error> {
    check_table(prefix, &source.table)?;
    if migrate::version(db, prefix)? == 0 {
        return Err(tables_missing());
    }
    columns(db, &source.table)
        .map_err(while_doing(DOING))?
        .ok_or_else(|| missing(&source.table))
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<Option<Vec<Column>>> {
    let sql = "SELECT x.name, x.type FROM sqlite_schema s, pragma_table_xinfo(s.name) x
               WHERE s.type = 'table' AND s.name = ?1 AND x.hidden <> 1 ORDER BY x.cid";
    let mut statement = db.prepare(sql)?;
    let columns = statement.query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            declared: row.get(1)?,
        })
    })?;
    let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
    Ok((!columns.is_empty()).then_some(columns))
}

fn drops(prefix: &Prefix, table: &str) -> Vec<String> {
    let start = capture::trigger(prefix, table);
    let drop = |end| {
        format!(
            "DROP TRIGGER IF EXISTS {}",
            Quoted(&format!("{start}{end}"))
        )
    };
    TRIGGERS.into_iter().map(drop).collect()
}

/// What captures a table.
fn statements(prefix: &Prefix, plan: &Plan<'_>) -> Result<Vec<String>, Error> {
    let source = plan.source;
    let start = capture::trigger(prefix, &source.table);
    // The clause of the application's statement is that of ours as well: under `OR IGNORE` what the outbox
    // refuses would be missing, under `OR FAIL` the row would stay without its event.
    let unwritten = literal(&format!(
        "millstream: the outbox takes no event of this row of {}: its id is empty or too long, or it has \
         more than {DATA_BYTES_MAX} bytes",
        source.table
    ));
    let event = |row: &str, happening, metadata: &str| -> Result<String, Error> {
        let event_type = source.event_type(happening)?;
        let event_type = literal(event_type.as_str());
        let (tenant, entity) = key(source, row);
        let image = image(plan, row);
        let misfit = |text: &str| {
            format!("length(CAST({text} AS BLOB)) NOT BETWEEN 1 AND 255 OR instr({text}, char(0))")
        };
        let insert = prefix
            .sql("INSERT INTO ~outbox (event_type, tenant_id, entity_id, event_data, metadata)");
        // A row that never had a key was never told of.
        let known = named(source).map(|column| format!("{row}.{} IS NOT NULL", Quoted(column)));
        let known = known.collect::<Vec<_>>().join(" AND ");
        Ok(format!(
            "  SELECT RAISE(ABORT, {unwritten})\n    WHERE {} OR {}\n    \
             OR length(CAST({image} AS BLOB)) > {DATA_BYTES_MAX};\n  \
             {insert}\n    SELECT {event_type}, {tenant}, {entity}, {image}, {metadata} WHERE {known};\n  \
             SELECT RAISE(ABORT, {unwritten}) WHERE changes() = 0 AND {known};\n",
            misfit(&tenant),
            misfit(&entity)
        ))
    };
    let ours = format!("SELECT 1 FROM ~millstream_meta WHERE name = '{APPLYING}'");
    let ours = prefix.sql(&ours);
    let trigger = |end: &str, on: &str, when: &str, body: &str| {
        let name = format!("{start}{end}");
        let (name, table) = (Quoted(&name), Quoted(&source.table));
        format!(
            "CREATE TRIGGER {name} AFTER {on} ON {table}\n  WHEN NOT EXISTS ({ours}){when}\nBEGIN\n{body}END"
        )
    };
    let (key_before, key_now) = (key(source, "OLD"), key(source, "NEW"));
    let moved = format!(
        "({} IS NOT {} OR {} IS NOT {})",
        key_before.0, key_now.0, key_before.1, key_now.1
    );
    let differs = format!("({} IS NOT {})", image(plan, "OLD"), image(plan, "NEW"));

    let created = event("NEW", Happening::Created, "'{}'")?;
    let updated = event("NEW", Happening::Updated, &changed(plan))?;
    let deleted = event("OLD", Happening::Deleted, "'{}'")?;
    let mut all = drops(prefix, &source.table);
    all.extend([
        trigger("_i", "INSERT", "", &(refusals(source, "NEW") + &created)),
        trigger(
            "_u",
            "UPDATE",
            &format!("\n    AND NOT {moved}\n    AND {differs}"),
            &updated,
        ),
        trigger(
            "_k",
            "UPDATE",
            &format!("\n    AND {moved}"),
            &(refusals(source, "NEW") + &deleted + &created),
        ),
        trigger("_d", "DELETE", "", &deleted),
    ]);
    Ok(all)
}

/// Tenant and entity of a row, as texts.
fn key(source: &Source, row: &str) -> (String, String) {
    let column = |name: &str| format!("CAST({row}.{} AS TEXT)", Quoted(name));
    let tenant = match &source.tenant {
        Some(tenant) => column(tenant),
        None => literal(TENANT_DEFAULT),
    };
    (tenant, column(&source.entity))
}

/// Statements that refuse a row without tenant or entity.
fn refusals(source: &Source, row: &str) -> String {
    named(source)
        .map(|column| {
            let text = literal(&nobodys(&source.table, column));
            let column = Quoted(column);
            format!("  SELECT RAISE(ABORT, {text}) WHERE {row}.{column} IS NULL;\n")
        })
        .collect()
}

/// The data of a row, as JSON.
fn image(plan: &Plan<'_>, row: &str) -> String {
    let fields: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| {
            let name = literal(&format!("{}:", json_text(field)));
            format!("{name} || {}", value(column, row))
        })
        .collect();
    format!("('{{' || {} || '}}')", fields.join(" || ',' || "))
}

/// The metadata of an update.
fn changed(plan: &Plan<'_>) -> String {
    let parts: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| {
            let (before, now) = (value(column, "OLD"), value(column, "NEW"));
            let name = literal(&format!(",{}", json_text(field)));
            format!("CASE WHEN {before} IS NOT {now} THEN {name} ELSE '' END")
        })
        .collect();
    format!(
        "'{{\"changed\":[' || substr({}, 2) || ']}}'",
        parts.join(" || ")
    )
}

/// A value as JSON. What a column stores decides, since its declared type does not.
fn value(column: &Column, row: &str) -> String {
    let x = format!("{row}.{}", Quoted(&column.name));
    let declared = column.declared.to_ascii_uppercase();
    // The shortest of two forms that gives the double back, and words for what is no number of JSON.
    let real = format!(
        "CASE WHEN abs({x}) > 1.7976931348623157e308 THEN json_quote(CASE WHEN {x} > 0 THEN 'Infinity' \
         ELSE '-Infinity' END) WHEN CAST(printf('%!.15g', {x}) AS REAL) = {x} THEN printf('%!.15g', {x}) \
         ELSE printf('%!.17g', {x}) END"
    );
    let own = if declared.contains("BOOL") {
        format!("WHEN {x} IS 0 THEN 'false' WHEN {x} IS 1 THEN 'true' ")
    } else if declared.contains("JSON") {
        format!("WHEN typeof({x}) = 'text' AND json_valid({x}) THEN json({x}) ")
    } else {
        String::new()
    };
    format!(
        "CASE {own}WHEN typeof({x}) = 'real' THEN {real} WHEN typeof({x}) = 'blob' \
         THEN '\"\\\\x' || lower(hex({x})) || '\"' ELSE coalesce(json_quote({x}), 'null') END"
    )
}

/// A text as JSON writes it.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as a statement writes it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
