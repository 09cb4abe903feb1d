//! Triggers that turn changes of a table into rows of the outbox.

use std::fmt::Write as _;

use async_trait::async_trait;

use millstream_core::capture::{Capture, Captured, Happening, Source, TENANT_DEFAULT};
use millstream_core::error::Error;

use crate::capture::{
    self, Column, NOTES, NOTES_END, Note, Plan, check_table, misconfigured, missing, named,
    nobodys, tables_missing,
};
use crate::identifier::{Backticked, Prefix};
use crate::mysql::database::Database;
use crate::mysql::migrate;
use crate::mysql::row::{integer, text};
use crate::mysql::session::{Flavour, Session, values};
use crate::mysql::tables::{json_columns, no_transactions};

const DOING: &str = "capture a table";

/// What the triggers of a table end in.
const TRIGGERS: [&str; 3] = ["_u", "_d", "_i"];

/// The type of a column whose text is JSON.
const JSON: &str = "json";

/// A message that a trigger raises, in characters.
const MESSAGE_MAX: usize = 128;

#[async_trait]
impl Capture for Database {
    async fn capture_statements(&self, source: &Source) -> Result<Vec<String>, Error> {
        let mut session = self.session().await?;
        let columns = prepare(&mut session, &self.options.prefix, source).await?;
        let flavour = session.flavour();
        session.give_back();
        statements(&self.options.prefix, flavour, &Plan::of(source, &columns)?)
    }

    async fn capture(&self, source: &Source) -> Result<(), Error> {
        let prefix = &self.options.prefix;
        let mut session = self.session().await?;
        session.be_patient();
        let columns = prepare(&mut session, prefix, source).await?;
        let plan = Plan::of(source, &columns)?;
        let statements = statements(prefix, session.flavour(), &plan)?;
        // Each statement commits. Until the last one the note says that it is to be done again.
        let note = prefix.sql(
            "INSERT INTO ~millstream_meta (name, value) VALUES (?, ?)
             ON DUPLICATE KEY UPDATE value = VALUES(value)",
        );
        let name = format!("{NOTES}{}", source.table);
        session
            .run(DOING, &note, values![name.as_str(), ""])
            .await?;
        for statement in statements {
            session.plain(DOING, &statement).await?;
        }
        let line = values![name, plan.note(&columns)];
        session.run(DOING, &note, line).await?;
        session.give_back();
        Ok(())
    }

    async fn uncapture_statements(&self, table: &str) -> Result<Vec<String>, Error> {
        Ok(drops(&self.options.prefix, table))
    }

    async fn uncapture(&self, table: &str) -> Result<bool, Error> {
        let doing = "release a table";
        let mut session = self.session().await?;
        session.be_patient();
        for drop in drops(&self.options.prefix, table) {
            session.plain(doing, &drop).await?;
        }
        let forget = self.sql("DELETE FROM ~millstream_meta WHERE name = ?");
        let line = values![format!("{NOTES}{table}")];
        let known = session.run(doing, &forget, line).await?;
        session.give_back();
        Ok(known > 0)
    }

    async fn captured(&self) -> Result<Vec<Captured>, Error> {
        let doing = "look at captured tables";
        let mut session = self.session().await?;
        let notes = "SELECT name, value FROM ~millstream_meta
                     WHERE name >= ? AND name < ? ORDER BY name";
        let range = values![NOTES, NOTES_END];
        let notes = session.all(doing, &self.sql(notes), range).await?;
        let mut found = Vec::with_capacity(notes.len());
        for row in &notes {
            let table = text(row, 0).unwrap_or_default();
            let table = table.strip_prefix(NOTES).unwrap_or_default();
            let Some(note) = text(row, 1).and_then(|note| Note::read(&note)) else {
                found.push(capture::damaged(table));
                continue;
            };
            let start = capture::trigger(&self.options.prefix, table);
            let [u, d, i] = TRIGGERS.map(|end| format!("{start}{end}"));
            let there = "SELECT count(*) FROM information_schema.triggers
                         WHERE trigger_schema = database() AND event_object_table = ?
                           AND trigger_name IN (?, ?, ?)";
            let there = session.first(doing, there, values![table, u, d, i]).await?;
            let there = there.map_or(0, |row| integer(&row, 0));
            let columns = columns(&mut session, table).await?;
            let all = usize::try_from(there).is_ok_and(|there| there == TRIGGERS.len());
            let mut captured = note.judge(table, columns.as_deref(), all);
            if captured.problem.is_none() {
                captured.problem = unseen(&mut session, table).await?;
            }
            found.push(captured);
        }
        session.give_back();
        Ok(found)
    }
}

/// What captures a table no longer.
fn drops(prefix: &Prefix, table: &str) -> Vec<String> {
    let start = capture::trigger(prefix, table);
    let drop = |end| {
        let name = format!("{start}{end}");
        format!("DROP TRIGGER IF EXISTS {}", Backticked(&name))
    };
    TRIGGERS.into_iter().map(drop).collect()
}

/// The columns of the table, if it is one whose changes can all be seen.
async fn prepare(
    session: &mut Session,
    prefix: &Prefix,
    source: &Source,
) -> Result<Vec<Column>, Error> {
    let table = &source.table;
    check_table(prefix, table)?;
    if migrate::version(session, prefix).await? == 0 {
        return Err(tables_missing());
    }
    let columns = columns(session, table).await?;
    let columns = columns.ok_or_else(|| missing(table))?;
    match unseen(session, table).await? {
        Some(reason) => Err(misconfigured(reason)),
        None => Ok(columns),
    }
}

/// Why not all changes of a table can be seen, if that is so, and what to do.
async fn unseen(session: &mut Session, table: &str) -> Result<Option<String>, Error> {
    if let Some(reason) = no_transactions(session, table).await? {
        return Ok(Some(reason));
    }
    let sql = "SELECT constraint_name FROM information_schema.referential_constraints
               WHERE constraint_schema = database() AND table_name = ?
                 AND (delete_rule NOT IN ('RESTRICT', 'NO ACTION')
                   OR update_rule NOT IN ('RESTRICT', 'NO ACTION'))";
    let row = session.first(DOING, sql, values![table]).await?;
    Ok(row.map(|row| {
        let name = text(&row, 0).unwrap_or_default();
        format!(
            "foreign key {name} changes rows of {table} by itself, and this server fires no triggers \
             for that: make it ON DELETE RESTRICT ON UPDATE RESTRICT, and delete such rows first"
        )
    }))
}

async fn columns(session: &mut Session, table: &str) -> Result<Option<Vec<Column>>, Error> {
    let json = json_columns(session, table).await?;
    let sql = "SELECT c.column_name, c.column_type FROM information_schema.columns c
               JOIN information_schema.tables t
                 ON t.table_schema = c.table_schema AND t.table_name = c.table_name
               WHERE t.table_schema = database() AND t.table_name = ?
                 AND t.table_type = 'BASE TABLE'
               ORDER BY c.ordinal_position";
    let rows = session.all(DOING, sql, values![table]).await?;
    let columns: Vec<Column> = rows
        .iter()
        .map(|row| {
            let name = text(row, 0).unwrap_or_default();
            let declared = match json.contains(&name) {
                true => JSON.to_owned(),
                false => text(row, 1).unwrap_or_default().to_ascii_lowercase(),
            };
            Column { name, declared }
        })
        .collect();
    Ok((!columns.is_empty()).then_some(columns))
}

/// What captures a table.
fn statements(prefix: &Prefix, flavour: Flavour, plan: &Plan<'_>) -> Result<Vec<String>, Error> {
    let source = plan.source;
    let table = Backticked(&source.table);
    let start = capture::trigger(prefix, &source.table);
    let insert = prefix
        .sql("INSERT INTO ~outbox (event_type, tenant_id, entity_id, event_data, metadata)\n    ");
    let event = |row: &str, happening, metadata: &str| -> Result<String, Error> {
        let event_type = source.event_type(happening)?;
        let event_type = literal(event_type.as_str());
        let (tenant, entity) = key(plan, row);
        let image = image(plan, row);
        Ok(format!(
            "    {insert}VALUES ({event_type}, {tenant}, {entity}, {image}, {metadata});\n"
        ))
    };
    let nothing = literal("{}");
    let created = event("NEW", Happening::Created, &nothing)?;
    let updated = event("NEW", Happening::Updated, &changed(plan))?;
    // A row that never had a key was never told of.
    let deleted = event("OLD", Happening::Deleted, &nothing)?;
    let known = named(source).map(|column| format!("OLD.{} IS NOT NULL", Backticked(column)));
    let known = known.collect::<Vec<_>>().join(" AND ");
    let deleted = format!("    IF {known} THEN\n{deleted}    END IF;\n");
    let refusals = refusals(source);
    let (key_before, key_now) = (key(plan, "OLD"), key(plan, "NEW"));
    let same = format!(
        "{} AND {}",
        equal(&key_before.0, &key_now.0),
        equal(&key_before.1, &key_now.1)
    );
    let unchanged = equal(&image(plan, "OLD"), &image(plan, "NEW"));

    let bodies = [
        (
            "UPDATE",
            format!(
                "    IF NOT ({same}) THEN\n{refusals}{deleted}{created}    \
                 ELSEIF NOT ({unchanged}) THEN\n{updated}    END IF;\n"
            ),
        ),
        ("DELETE", deleted),
        // Last: a row that is created is sent only where its changes are.
        ("INSERT", format!("{refusals}{created}")),
    ];
    let mut all = Vec::new();
    if flavour == Flavour::MySql {
        // It cannot replace a trigger: nothing may slip through in between.
        all.push(format!("LOCK TABLES {table} WRITE"));
    }
    for (end, (on, body)) in TRIGGERS.into_iter().zip(bodies) {
        let name = format!("{start}{end}");
        let name = Backticked(&name);
        let create = match flavour {
            Flavour::MariaDb => "CREATE OR REPLACE TRIGGER",
            Flavour::MySql => {
                all.push(format!("DROP TRIGGER IF EXISTS {name}"));
                "CREATE TRIGGER"
            }
        };
        all.push(format!(
            "{create} {name} AFTER {on} ON {table} FOR EACH ROW\nBEGIN\n  \
             IF @millstream_applying IS NULL THEN\n{body}  END IF;\nEND"
        ));
    }
    if flavour == Flavour::MySql {
        all.push("UNLOCK TABLES".into());
    }
    Ok(all)
}

/// Tenant and entity of a row, as texts.
fn key(plan: &Plan<'_>, row: &str) -> (String, String) {
    let tenant = match plan.tenant {
        Some(tenant) => name(tenant, row),
        None => literal(TENANT_DEFAULT),
    };
    (tenant, name(plan.entity, row))
}

/// A value as the text that names a row, whatever the session's time zone is.
fn name(column: &Column, row: &str) -> String {
    match kind(column) {
        "timestamp" | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            value(column, row)
        }
        _ => format!("CONVERT({row}.{} USING utf8mb4)", Backticked(&column.name)),
    }
}

/// The first word of a type.
fn kind(column: &Column) -> &str {
    let mut words = column.declared.split(|c: char| !c.is_ascii_alphanumeric());
    words.next().unwrap_or_default()
}

/// Statements that refuse a row without tenant or entity.
fn refusals(source: &Source) -> String {
    named(source).fold(String::new(), |mut text, column| {
        let message: String = nobodys(&source.table, column)
            .chars()
            .take(MESSAGE_MAX)
            .collect();
        writeln!(
            text,
            "    IF NEW.{} IS NULL THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = {}; END IF;",
            Backticked(column),
            quoted(&message)
        )
        .expect("a string takes everything");
        text
    })
}

/// Whether two texts are the same bytes, whatever collation they come with.
fn equal(one: &str, other: &str) -> String {
    format!("(CAST({one} AS BINARY) <=> CAST({other} AS BINARY))")
}

/// The data of a row, as JSON.
fn image(plan: &Plan<'_>, row: &str) -> String {
    let fields: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| format!("{}, {}", literal(field), value(column, row)))
        .collect();
    format!("JSON_OBJECT({})", fields.join(", "))
}

/// The metadata of an update.
fn changed(plan: &Plan<'_>) -> String {
    let parts: Vec<String> = plan
        .fields
        .iter()
        .map(|(field, column)| {
            let same = equal(&value(column, "OLD"), &value(column, "NEW"));
            let name = serde_json::Value::from(*field).to_string();
            format!("IF({same}, NULL, {})", literal(&name))
        })
        .collect();
    format!(
        "CONCAT({}, CONCAT_WS({}, {}), {})",
        literal("{\"changed\":["),
        literal(","),
        parts.join(", "),
        literal("]}")
    )
}

/// A value as JSON takes it, whatever the session's time zone is.
fn value(column: &Column, row: &str) -> String {
    let x = format!("{row}.{}", Backticked(&column.name));
    let seconds = literal("%Y-%m-%dT%H:%i:%s.%f");
    let declared = column.declared.as_str();
    match kind(column) {
        JSON => format!("JSON_EXTRACT({x}, '$')"),
        "tinyint" if declared.starts_with("tinyint(1)") => format!(
            "JSON_EXTRACT(CASE {x} WHEN 0 THEN {} WHEN 1 THEN {} ELSE CONVERT({x} USING utf8mb4) END, \
             '$')",
            literal("false"),
            literal("true")
        ),
        // Zeros before a number are no JSON.
        _ if declared.contains("zerofill") => format!("({x} + 0)"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" | "double" => x,
        // As it stands it is shown by six digits.
        "float" => format!("({x} + 0e0)"),
        "bit" => format!("({x} + 0)"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry"
        | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" => {
            format!("CONCAT({}, LOWER(HEX({x})))", literal("\\x"))
        }
        "date" => format!("DATE_FORMAT({x}, {})", literal("%Y-%m-%d")),
        "datetime" => format!("DATE_FORMAT({x}, {seconds})"),
        // By its number of seconds: an hour of autumn comes twice in the session's own time.
        "timestamp" => format!(
            "CONCAT(DATE_FORMAT(TIMESTAMP '1970-01-01 00:00:00' + \
             INTERVAL ROUND(UNIX_TIMESTAMP({x}) * 1000000) MICROSECOND, {seconds}), {})",
            literal("Z")
        ),
        _ => format!("CONVERT({x} USING utf8mb4)"),
    }
}

/// A text as a statement writes it, whatever the session makes of quotes and backslashes.
fn literal(text: &str) -> String {
    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02X}").expect("a string takes everything");
        hex
    });
    format!("_utf8mb4 X'{hex}'")
}

/// The same where a plain literal is needed; our sessions read backslashes as escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
