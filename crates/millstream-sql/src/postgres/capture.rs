//! Triggers that turn changes of a table into rows of the outbox.

use async_trait::async_trait;
use tokio_postgres::{Client, GenericClient};

use millstream_core::capture::{Capture, Captured, Happening, Source, TENANT_DEFAULT};
use millstream_core::error::Error;

use crate::capture::{
    self, Column, NOTES, NOTES_END, Note, Plan, check_table, missing, nobodys, tables_missing,
};
use crate::identifier::{Prefix, Quoted};
use crate::postgres::database::{Database, while_doing};
use crate::postgres::migrate;
use crate::postgres::tables::relation;

const DOING: &str = "capture a table";

/// What the triggers of a table end in: for its rows, and against TRUNCATE.
const TRIGGERS: [&str; 2] = ["_r", "_t"];

/// A function takes a hundred arguments, which are half as many fields.
const FIELDS_MAX: usize = 50;

#[async_trait]
impl Capture for Database {
    async fn capture_statements(&self, source: &Source) -> Result<Vec<String>, Error> {
        let connection = self.connection(DOING).await?;
        let db: &Client = &connection;
        let columns = prepare(db, &self.options.prefix, source).await?;
        let schema = migrate::schema(db).await?;
        let plan = Plan::of(source, &columns)?;
        statements(&self.options.prefix, &schema, &plan)
    }

    async fn capture(&self, source: &Source) -> Result<(), Error> {
        let failed = while_doing(DOING);
        let prefix = &self.options.prefix;
        let mut connection = self.connection(DOING).await?;
        let transaction = connection.transaction().await.map_err(failed)?;
        let tx: &tokio_postgres::Transaction<'_> = &transaction;
        check_table(prefix, &source.table)?;
        // Two captures of one table at once would both drop what the other makes.
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&migrate::LOCK])
            .await
            .map_err(failed)?;
        let columns = prepare(tx, prefix, source).await?;
        let schema = migrate::schema(tx).await?;
        let plan = Plan::of(source, &columns)?;
        for statement in statements(prefix, &schema, &plan)? {
            tx.batch_execute(&statement).await.map_err(failed)?;
        }
        let note = prefix.sql(
            "INSERT INTO ~millstream_meta (name, value) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        );
        let name = format!("{NOTES}{}", source.table);
        tx.execute(&note, &[&name, &plan.note(&columns)])
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn uncapture_statements(&self, table: &str) -> Result<Vec<String>, Error> {
        let connection = self.connection("release a table").await?;
        let db: &Client = &connection;
        let schema = migrate::schema(db).await?;
        Ok(vec![drops(&self.options.prefix, &schema, table)])
    }

    async fn uncapture(&self, table: &str) -> Result<bool, Error> {
        let failed = while_doing("release a table");
        let mut connection = self.connection(DOING).await?;
        let tx = connection.transaction().await.map_err(failed)?;
        let schema = migrate::schema(&*tx).await?;
        tx.batch_execute(&drops(&self.options.prefix, &schema, table))
            .await
            .map_err(failed)?;
        let forget = self.sql("DELETE FROM ~millstream_meta WHERE name = $1");
        let name = format!("{NOTES}{table}");
        let known = tx.execute(&forget, &[&name]).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(known > 0)
    }

    async fn captured(&self) -> Result<Vec<Captured>, Error> {
        let failed = while_doing("look at captured tables");
        let connection = self.connection("look at captured tables").await?;
        let db: &Client = &connection;
        let notes = self.sql(
            "SELECT substr(name, $3), value FROM ~millstream_meta
             WHERE name >= $1 AND name < $2 ORDER BY name",
        );
        let behind = i32::try_from(NOTES.len() + 1).expect("it is short");
        let notes = db
            .query(&notes, &[&NOTES, &NOTES_END, &behind])
            .await
            .map_err(failed)?;
        let mut found = Vec::with_capacity(notes.len());
        for note in notes {
            let (table, note): (String, String) = (note.get(0), note.get(1));
            let Some(note) = Note::read(&note) else {
                found.push(capture::damaged(&table));
                continue;
            };
            let start = capture::trigger(&self.options.prefix, &table);
            let names = TRIGGERS.map(|end| format!("{start}{end}"));
            let there: i64 = db
                .query_one(
                    "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass($1::text)
                       AND tgname = ANY ($2) AND tgenabled <> 'D'",
                    &[&relation(&table), &&names[..]],
                )
                .await
                .map_err(failed)?
                .get(0);
            let columns = columns(db, &table).await?;
            let all = usize::try_from(there).is_ok_and(|there| there == TRIGGERS.len());
            found.push(note.judge(&table, columns.as_deref(), all));
        }
        Ok(found)
    }
}

/// The columns of the table, if it is one that can be captured.
async fn prepare(
    db: &impl GenericClient,
    prefix: &Prefix,
    source: &Source,
) -> Result<Vec<Column>, Error> {
    check_table(prefix, &source.table)?;
    if migrate::version(db, prefix).await? == 0 {
        return Err(tables_missing());
    }
    let columns = columns(db, &source.table).await?;
    columns.ok_or_else(|| missing(&source.table))
}

async fn columns(db: &impl GenericClient, table: &str) -> Result<Option<Vec<Column>>, Error> {
    let rows = db
        .query(
            "SELECT a.attname::text, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), -1)
             FROM pg_class c
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             JOIN pg_type t ON t.oid = a.atttypid
             WHERE c.oid = to_regclass($1::text) AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
            &[&relation(table)],
        )
        .await
        .map_err(while_doing(DOING))?;
    let columns: Vec<Column> = rows
        .iter()
        .map(|row| Column {
            name: row.get(0),
            declared: row.get(1),
        })
        .collect();
    Ok((!columns.is_empty()).then_some(columns))
}

fn function(prefix: &Prefix, schema: &str, table: &str) -> String {
    let name = capture::trigger(prefix, table);
    format!("{}.{}", Quoted(schema), Quoted(&name))
}

/// What captures a table no longer: with the function go the triggers that call it.
fn drops(prefix: &Prefix, schema: &str, table: &str) -> String {
    let function = function(prefix, schema, table);
    format!("DROP FUNCTION IF EXISTS {function}() CASCADE")
}

/// What captures a table, in one transaction.
fn statements(prefix: &Prefix, schema: &str, plan: &Plan<'_>) -> Result<Vec<String>, Error> {
    let source = plan.source;
    let table = relation(&source.table);
    let function = function(prefix, schema, &source.table);
    let body = body(prefix, schema, plan)?;
    let quotes = quotes(&body);
    let settings = settings(plan);
    let start = capture::trigger(prefix, &source.table);
    let [rows, truncate] = TRIGGERS.map(|end| Quoted(&format!("{start}{end}")).to_string());
    Ok(vec![
        // Nothing may slip through between the old triggers and the new ones.
        format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"),
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql{settings} AS {quotes}{body}{quotes}"
        ),
        format!("DROP TRIGGER IF EXISTS {rows} ON {table}"),
        format!(
            "CREATE TRIGGER {rows} AFTER INSERT OR UPDATE OR DELETE ON {table}\n  FOR EACH ROW EXECUTE FUNCTION {function}()"
        ),
        format!("DROP TRIGGER IF EXISTS {truncate} ON {table}"),
        format!(
            "CREATE TRIGGER {truncate} BEFORE TRUNCATE ON {table}\n  FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        ),
    ])
}

/// What the function sets for itself, where texts of values depend on how the session is set: each costs
/// something at each row.
fn settings(plan: &Plan<'_>) -> String {
    const STYLES: &str = " SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET timezone = 'UTC' SET bytea_output = 'hex'";
    const DIGITS: &str = " SET extra_float_digits = 1";
    let of = |needs: fn(&str) -> bool, set: &'static str| {
        let fields = plan.fields.iter().map(|(_, column)| *column);
        let mut columns = fields.chain(plan.tenant).chain([plan.entity]);
        let needed = columns.any(|column| needs(&column.declared));
        if needed { set } else { "" }
    };
    let digits = of(|declared| !is_plain(declared), DIGITS);
    let styles = of(
        |declared| !is_plain(declared) && !matches!(declared, "real" | "double precision"),
        STYLES,
    );
    format!("{digits}{styles}")
}

/// Whether a value of the type has one text, whatever the session is set to.
fn is_plain(declared: &str) -> bool {
    matches!(
        declared,
        "smallint"
            | "integer"
            | "bigint"
            | "numeric"
            | "boolean"
            | "text"
            | "character varying"
            | "character"
            | "bpchar"
            | "name"
            | "uuid"
            | "json"
            | "jsonb"
            | "bytea"
            | "date"
            | "time without time zone"
            | "timestamp with time zone"
            | "timestamp without time zone"
            | "smallint[]"
            | "integer[]"
            | "bigint[]"
            | "text[]"
            | "character varying[]"
            | "uuid[]"
    )
}

/// Dollar quotes that do not occur in the text.
fn quotes(text: &str) -> String {
    (0..)
        .map(|number| format!("$millstream{number}$"))
        .find(|quotes| !text.contains(quotes))
        .expect("a text holds a finite number of them")
}

/// What the trigger does. Names are qualified, since the session's search path may be any.
fn body(prefix: &Prefix, schema: &str, plan: &Plan<'_>) -> Result<String, Error> {
    let source = plan.source;
    let outbox = format!("{}.{}", Quoted(schema), Quoted(&prefix.sql("~outbox")));
    let event = |happening: Happening| -> Result<String, Error> {
        let event_type = source.event_type(happening)?;
        let when = match happening {
            Happening::Deleted => "before",
            Happening::Created | Happening::Updated => "now",
        };
        let metadata = match happening {
            Happening::Updated => "'{\"changed\": ' || changed || '}'",
            Happening::Created | Happening::Deleted => "'{}'",
        };
        Ok(format!(
            "INSERT INTO {outbox} (event_type, tenant_id, entity_id, event_data, metadata)\n      \
             VALUES ({}, tenant_{when}, entity_{when}, image_{when}, {metadata});",
            literal(event_type.as_str())
        ))
    };
    let created = event(Happening::Created)?;
    let updated = event(Happening::Updated)?;
    let deleted = event(Happening::Deleted)?;
    let key = |row: &str| -> (String, String) {
        let tenant = match plan.tenant {
            Some(tenant) => name(tenant, row),
            None => literal(TENANT_DEFAULT),
        };
        (tenant, name(plan.entity, row))
    };
    let (tenant_before, entity_before) = key("OLD");
    let (tenant_now, entity_now) = key("NEW");
    let (image_before, image_now) = (image(plan, "OLD"), image(plan, "NEW"));
    let changed = changed(plan);
    let truncated = literal(&format!(
        "millstream: {} is captured, and TRUNCATE names no rows: use DELETE",
        source.table
    ));
    let refuse = |column: &str, variable: &str| {
        let text = literal(&nobodys(&source.table, column));
        format!(
            "IF {variable} IS NULL THEN RAISE EXCEPTION USING ERRCODE = '23502', MESSAGE = {text}; END IF;"
        )
    };
    let refusals = source
        .tenant
        .iter()
        .map(|tenant| refuse(tenant, "tenant_now"))
        .chain([refuse(&source.entity, "entity_now")])
        .collect::<Vec<_>>()
        .join("\n    ");
    Ok(format!(
        "
DECLARE
  tenant_before text; entity_before text; image_before text;
  tenant_now text; entity_now text; image_now text;
  changed text;
BEGIN
  IF coalesce(current_setting('millstream.applying', true), '') = 'on' THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'TRUNCATE' THEN
    RAISE EXCEPTION USING MESSAGE = {truncated};
  END IF;
  IF TG_OP <> 'INSERT' THEN
    tenant_before := {tenant_before};
    entity_before := {entity_before};
    image_before := {image_before};
  END IF;
  IF TG_OP <> 'DELETE' THEN
    tenant_now := {tenant_now};
    entity_now := {entity_now};
    image_now := {image_now};
    {refusals}
  END IF;
  IF TG_OP = 'UPDATE' AND (tenant_before, entity_before) IS NOT DISTINCT FROM (tenant_now, entity_now) THEN
    IF image_before IS DISTINCT FROM image_now THEN
      changed := {changed};
      {updated}
    END IF;
    RETURN NULL;
  END IF;
  IF TG_OP <> 'INSERT' AND tenant_before IS NOT NULL AND entity_before IS NOT NULL THEN
    {deleted}
  END IF;
  IF TG_OP <> 'DELETE' THEN
    {created}
  END IF;
  RETURN NULL;
END
"
    ))
}

/// The data of a row, as a text: `jsonb` takes no NUL of a `json`, and forgets how it was written.
fn image(plan: &Plan<'_>, row: &str) -> String {
    let fields: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| format!("{}, {}", literal(field), value(column, row)))
        .collect();
    let objects: Vec<String> = fields
        .chunks(FIELDS_MAX)
        .map(|fields| format!("json_build_object({})::text", fields.join(", ")))
        .collect();
    match &objects[..] {
        [object] => object.clone(),
        objects => {
            let inner = objects.iter().map(|o| format!("substr(left({o}, -1), 2)"));
            format!(
                "'{{' || {} || '}}'",
                inner.collect::<Vec<_>>().join(" || ', ' || ")
            )
        }
    }
}

/// The fields whose values changed, byte for byte, as a JSON array.
fn changed(plan: &Plan<'_>) -> String {
    let fields: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| {
            let (column, field) = (Quoted(&column.name), literal(field));
            format!(
                "CASE WHEN pg_catalog.record_image_ne(ROW(OLD.{column}), ROW(NEW.{column})) \
                 THEN {field} END"
            )
        })
        .collect();
    format!(
        "array_to_json(array_remove(ARRAY[{}]::text[], NULL))::text",
        fields.join(", ")
    )
}

/// A value as the text that names a row, whatever the session's formats and time zone are.
fn name(column: &Column, row: &str) -> String {
    match column.declared.as_str() {
        "timestamp with time zone" | "timestamp without time zone" | "date" | "bytea" => {
            value(column, row)
        }
        _ => format!("{row}.{}::text", Quoted(&column.name)),
    }
}

/// A value as JSON, whatever the session's formats and time zone are.
fn value(column: &Column, row: &str) -> String {
    let x = format!("{row}.{}", Quoted(&column.name));
    match column.declared.as_str() {
        "timestamp with time zone" => {
            let utc = format!("({x} AT TIME ZONE 'UTC')");
            moment(&x, &utc, "YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"")
        }
        "timestamp without time zone" => moment(&x, &x, "YYYY-MM-DD\"T\"HH24:MI:SS.US"),
        "date" => moment(&x, &x, "YYYY-MM-DD"),
        "bytea" => format!("E'\\\\x' || encode({x}, 'hex')"),
        "smallint" | "integer" | "bigint" | "boolean" | "real" | "double precision" | "json"
        | "jsonb" => x,
        declared if declared.ends_with("[]") => x,
        // Numbers of any size, texts, and whatever else there is.
        _ => format!("{x}::text"),
    }
}

/// A point in time as a text. Infinity has no parts, and years before the first need their era.
fn moment(x: &str, shown: &str, form: &str) -> String {
    format!(
        "CASE WHEN NOT isfinite({x}) THEN {x}::text WHEN {shown} < '0001-01-01' \
         THEN to_char({shown}, '{form} BC') ELSE to_char({shown}, '{form}') END"
    )
}

/// A text as a statement writes it, whatever the session makes of backslashes.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_its_quotes() {
        assert_eq!(literal(r"a'b\'c"), r"E'a''b\\''c'");
        assert_eq!(quotes("a $millstream0$ b"), "$millstream1$");
    }
}
