//! What capturing a table is about on every database.

use serde_json::{Value, json};
use uuid::Uuid;

use millstream_core::capture::{Captured, Source};
use millstream_core::error::{Error, ErrorKind};

use crate::identifier::Prefix;

/// What the names of our triggers begin with.
pub(crate) const TRIGGERS: &str = "~millstream_capture_";

/// What the names of our notes begin with, in the meta table.
pub(crate) const NOTES: &str = "capture:";

/// Behind all names that begin so.
pub(crate) const NOTES_END: &str = "capture;";

/// Names of tables up to here are part of the names of their triggers.
const READABLE_MAX: usize = 18;

/// What the names of a table's triggers begin with. It fits every database: PostgreSQL cuts names at 63
/// bytes.
pub(crate) fn trigger(prefix: &Prefix, table: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let start = prefix.sql(TRIGGERS);
    if table.len() <= READABLE_MAX && table.chars().all(plain) {
        return format!("{start}{table}");
    }
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, table.as_bytes());
    format!("{start}{}", &hash.simple().to_string()[..READABLE_MAX])
}

/// The columns that tenant and entity come from.
pub(crate) fn named(source: &Source) -> impl Iterator<Item = &String> {
    source.tenant.iter().chain([&source.entity])
}

/// A column of a table that is to be captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// As the catalogue has it.
    pub(crate) declared: String,
}

/// A source, and the columns that its table has.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) source: &'a Source,
    /// Fields of the data with their columns.
    pub(crate) fields: Vec<(&'a str, &'a Column)>,
    /// Those that tenant, where there is one, and entity come from.
    pub(crate) tenant: Option<&'a Column>,
    pub(crate) entity: &'a Column,
}

impl<'a> Plan<'a> {
    /// Finds every column that the source names, or takes them all.
    pub(crate) fn of(source: &'a Source, columns: &'a [Column]) -> Result<Self, Error> {
        let find = |name: &str| {
            columns
                .iter()
                .find(|column| column.name == name)
                .ok_or_else(|| {
                    let all: Vec<_> = columns.iter().map(|column| &*column.name).collect();
                    misconfigured(format!(
                        "table {} has no column {name}; it has {}",
                        source.table,
                        all.join(", ")
                    ))
                })
        };
        let tenant = source.tenant.as_deref().map(find).transpose()?;
        let entity = find(&source.entity)?;
        let fields = match &*source.data {
            [] => columns
                .iter()
                .map(|column| (&*column.name, column))
                .collect(),
            data => data
                .iter()
                .map(|(field, column)| Ok((&**field, find(column)?)))
                .collect::<Result<_, Error>>()?,
        };
        Ok(Self {
            source,
            fields,
            tenant,
            entity,
        })
    }

    /// What is written down of it, to see later whether the table has changed.
    pub(crate) fn note(&self, columns: &[Column]) -> String {
        let columns: Vec<_> = columns
            .iter()
            .map(|column| json!([column.name, column.declared]))
            .collect();
        let source = self.source;
        json!({
            "event": source.event,
            "tenant": source.tenant,
            "entity": source.entity,
            "data": source.data,
            "columns": columns,
        })
        .to_string()
    }
}

/// What was written down.
#[derive(Debug)]
pub(crate) struct Note {
    event: String,
    /// Columns that are named; none where all of them are captured.
    named: Option<Vec<String>>,
    columns: Vec<Column>,
}

impl Note {
    /// Reads one; a damaged one is as good as none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let note: Value = serde_json::from_str(text).ok()?;
        let pairs = |key: &str| -> Option<Vec<(String, String)>> {
            let pairs = note.get(key)?.as_array()?.iter();
            let pair = |pair: &Value| {
                let text = |at: usize| Some(pair.get(at)?.as_str()?.to_owned());
                Some((text(0)?, text(1)?))
            };
            pairs.map(pair).collect()
        };
        let data = pairs("data")?;
        let keys = ["tenant", "entity"].map(|key| note[key].as_str().map(ToOwned::to_owned));
        let named = data.into_iter().map(|(_, column)| column);
        let named: Vec<String> = named.chain(keys.into_iter().flatten()).collect();
        let all = note["data"].as_array().is_some_and(Vec::is_empty);
        Some(Self {
            event: note["event"].as_str()?.to_owned(),
            named: (!all).then_some(named),
            columns: pairs("columns")?
                .into_iter()
                .map(|(name, declared)| Column { name, declared })
                .collect(),
        })
    }

    /// What is wrong with a capture, if anything is: `columns` are those that the table has now, none
    /// where it is gone, and `triggers` whether all of ours are there.
    pub(crate) fn judge(self, table: &str, columns: Option<&[Column]>, triggers: bool) -> Captured {
        let problem = match columns {
            None => Some(format!(
                "table {table} is gone: forget its capture by `outbox capture {table} --remove`"
            )),
            Some(columns) => self
                .difference(columns)
                .or_else(|| (!triggers).then(|| "triggers of ours are missing".to_owned()))
                .map(|what| {
                    format!("table {table}: {what}; do `outbox capture {table}` once more")
                }),
        };
        Captured {
            table: table.to_owned(),
            event: self.event,
            problem,
        }
    }

    fn difference(&self, now: &[Column]) -> Option<String> {
        let concerns = |column: &&Column| match &self.named {
            Some(named) => named.contains(&column.name),
            None => true,
        };
        for before in self.columns.iter().filter(concerns) {
            match now.iter().find(|column| column.name == before.name) {
                None => return Some(format!("column {} is gone", before.name)),
                Some(column) if column.declared != before.declared => {
                    return Some(format!(
                        "column {} is {} now, and was {}",
                        before.name, column.declared, before.declared
                    ));
                }
                Some(_) => {}
            }
        }
        let added = now.iter().filter(concerns);
        let mut added = added.filter(|column| {
            let known = |before: &Column| before.name == column.name;
            !self.columns.iter().any(known)
        });
        added
            .next()
            .map(|column| format!("column {} is new, and not captured", column.name))
    }
}

/// A note that cannot be read.
pub(crate) fn damaged(table: &str) -> Captured {
    Captured {
        table: table.to_owned(),
        event: String::new(),
        problem: Some(format!(
            "our note of table {table} cannot be read: do `outbox capture {table}` once more"
        )),
    }
}

/// Refuses what cannot be captured by its name alone.
pub(crate) fn check_table(prefix: &Prefix, table: &str) -> Result<(), Error> {
    let own = ["~outbox", "~dead_letters", "~event_tracking"];
    let bare = table.rsplit('.').next().unwrap_or(table);
    if own.iter().any(|name| prefix.sql(name) == bare)
        || bare.starts_with(&prefix.sql("~millstream_"))
    {
        let text = format!("{table} is a table of ours, whose rows are no events");
        return Err(misconfigured(text));
    }
    Ok(())
}

/// What an application is told that leaves tenant or id out.
pub(crate) fn nobodys(table: &str, column: &str) -> String {
    format!("millstream: {table}.{column} is null, so that its event would be nobody's")
}

/// There is no such table.
pub(crate) fn missing(table: &str) -> Error {
    misconfigured(format!(
        "there is no table {table}: look at `table` in the [[apps.NAME.source]] that names it"
    ))
}

/// There is no outbox to capture into.
pub(crate) fn tables_missing() -> Error {
    misconfigured("our tables are missing or older: run `millstream migrate`".into())
}

pub(crate) fn misconfigured(text: String) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(all: &[(&str, &str)]) -> Vec<Column> {
        all.iter()
            .map(|(name, declared)| Column {
                name: (*name).into(),
                declared: (*declared).into(),
            })
            .collect()
    }

    fn source(data: &[(&str, &str)]) -> Source {
        let owned = |(field, column): &(&str, &str)| ((*field).into(), (*column).into());
        Source {
            event: "user".into(),
            table: "users".into(),
            tenant: Some("tenant".into()),
            entity: "id".into(),
            data: data.iter().map(owned).collect(),
        }
    }

    #[test]
    fn names_of_triggers_fit_everywhere() {
        let prefix = Prefix::new("a_prefix_of_24_letters__").unwrap();
        let long = "x".repeat(64);
        let names = ["users", "Users", "usérs", &long, "a.users", "a'b"];
        let names: Vec<_> = names.iter().map(|name| trigger(&prefix, name)).collect();
        assert!(names[0].ends_with("_capture_users"));
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() + "_d".len() <= 63, "{name}");
            assert!(!names[..at].contains(name));
        }
    }

    #[test]
    fn what_changed_in_the_table_is_noticed() {
        let before = columns(&[("tenant", "text"), ("id", "text"), ("name", "text")]);
        let judged = |source: &Source, now: &[(&str, &str)], triggers| {
            let plan = Plan::of(source, &before).unwrap();
            let note = Note::read(&plan.note(&before)).unwrap();
            let captured = note.judge("users", Some(&columns(now)), triggers);
            captured.problem.unwrap_or_default()
        };
        let (all, named) = (source(&[]), source(&[("n", "name")]));
        let same = [("tenant", "text"), ("id", "text"), ("name", "text")];
        assert_eq!(judged(&all, &same, true), "");
        assert!(judged(&all, &same, false).contains("triggers"));
        let more = [&same[..], &[("age", "integer")]].concat();
        assert!(judged(&all, &more, true).contains("age is new"));
        assert_eq!(judged(&named, &more, true), "");
        let other = [("tenant", "text"), ("id", "integer"), ("name", "text")];
        assert!(judged(&named, &other, true).contains("id is integer now, and was text"));
        assert!(judged(&named, &same[..2], true).contains("name is gone"));
    }

    #[test]
    fn columns_must_be_there() {
        let table = columns(&[("tenant", "text"), ("id", "text")]);
        let error = Plan::of(&source(&[("n", "name")]), &table).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("no column name; it has tenant, id")
        );
        for own in ["outbox", "millstream_inbox", "public.outbox"] {
            check_table(&Prefix::default(), own).unwrap_err();
        }
    }
}
