//! What must come out: the history, folded in its order by a plain program that knows nothing of
//! streams.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use millstream::rusqlite::types::Value;
use serde_json::Value as Json;

use crate::check::HEADER;
use crate::history::{Happening, History};

/// Fields of a person, in the order of HR's columns.
const FIELDS: [&str; 6] = [
    "firstName",
    "lastName",
    "email",
    "birthDate",
    "gender",
    "hireDate",
];

/// Those that `expected.csv` has, in the order of HR's columns.
const TOLD: [usize; 5] = [0, 1, FIELDS.len() - 1, TITLE, SALARY];

/// The columns of a row that somebody's title and salary stand in.
const TITLE: usize = FIELDS.len();
const SALARY: usize = TITLE + 1;

/// Tenant and id.
pub(crate) type Key = (String, String);

/// The state after a history.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// HR's employees, without their keys.
    employees: BTreeMap<Key, [Option<Value>; SALARY + 1]>,
    /// The departments that they are in, each with its name and since when.
    departments: BTreeMap<(Key, String), [Option<Value>; 2]>,
    /// Sum and number of somebody's credits.
    balances: BTreeMap<Key, (i64, i64)>,
    /// The numbers of somebody's events.
    pub(crate) events: BTreeMap<Key, Vec<u64>>,
    /// How many events there are.
    pub(crate) count: u64,
}

impl Model {
    /// Plays a history.
    pub(crate) fn of(history: &History) -> anyhow::Result<Self> {
        let mut model = Self::default();
        for happening in history.open()? {
            model.apply(&happening?)?;
        }
        Ok(model)
    }

    fn apply(&mut self, happening: &Happening) -> anyhow::Result<()> {
        let key = (happening.tenant.clone(), happening.entity.clone());
        let data: Json = serde_json::from_str(&happening.data)?;
        self.count += 1;
        self.events
            .entry(key.clone())
            .or_default()
            .push(happening.number);
        let department = || data["departmentId"].as_str().unwrap_or_default().to_owned();
        match happening.kind.as_str() {
            "user.created" | "user.updated" => {
                let row = self.employees.entry(key).or_default();
                for (column, field) in row.iter_mut().zip(FIELDS) {
                    if let Some(value) = data.get(field) {
                        *column = to_sql(value);
                    }
                }
            }
            "role.assigned" => {
                self.employees.entry(key).or_default()[TITLE] = to_sql(&data["title"]);
            }
            "credit.allocated" => {
                let balance = self.balances.entry(key.clone()).or_default();
                balance.0 += data["salary"].as_i64().unwrap_or(0);
                balance.1 += 1;
                self.employees.entry(key).or_default()[SALARY] = to_sql(&data["salary"]);
            }
            "org.assigned" => {
                let row = [to_sql(&data["department"]), to_sql(&data["from"])];
                self.departments.insert((key, department()), row);
            }
            "org.unassigned" => drop(self.departments.remove(&(key, department()))),
            "user.deleted" => {
                self.departments.retain(|(of, _), _| *of != key);
                self.employees.remove(&key);
            }
            other => bail!("{}: nobody knows what {other} does", happening.event_id()),
        }
        Ok(())
    }

    /// The rows of `employees`, by their key.
    pub(crate) fn employees(&self) -> Vec<Vec<Value>> {
        let rows = self.employees.iter();
        rows.map(|(key, row)| line(key, row.iter().cloned().map(or_null)))
            .collect()
    }

    /// The rows of `employee_departments`, by their key.
    pub(crate) fn departments(&self) -> Vec<Vec<Value>> {
        let rows = self.departments.iter().map(|((key, department), row)| {
            let department = Value::Text(department.clone());
            line(
                key,
                [department]
                    .into_iter()
                    .chain(row.iter().cloned().map(or_null)),
            )
        });
        rows.collect()
    }

    /// The state in the form of `expected.csv`.
    pub(crate) fn csv(&self) -> String {
        let mut departments: BTreeMap<&Key, Vec<&str>> = BTreeMap::new();
        for (key, department) in self.departments.keys() {
            departments.entry(key).or_default().push(department);
        }
        let mut rows: Vec<_> = self.employees.iter().collect();
        rows.sort_by_key(|(key, _)| (key.1.parse::<u64>().ok(), *key));
        let mut text = format!("{HEADER}\n");
        for (key, row) in rows {
            write!(text, "{},{},", key.0, key.1).expect("a string grows");
            for column in TOLD {
                match &row[column] {
                    Some(Value::Text(value)) => text.push_str(value),
                    Some(Value::Integer(value)) => {
                        write!(text, "{value}").expect("a string grows");
                    }
                    _ => {}
                }
                text.push(',');
            }
            let own = departments.remove(key).unwrap_or_default();
            text.push_str(&own.join("|"));
            text.push('\n');
        }
        text
    }

    /// The rows of `balances`, by their key.
    pub(crate) fn balances(&self) -> Vec<Vec<Value>> {
        let rows = self.balances.iter();
        rows.map(|(key, &(sum, count))| line(key, [sum, count].map(Value::Integer)))
            .collect()
    }

    /// The rows of CRM's `users`, by their key.
    pub(crate) fn users(&self) -> Vec<Vec<Value>> {
        let count = |events: &Vec<u64>| i64::try_from(events.len()).expect("a count");
        let rows = self.events.iter();
        rows.map(|(key, events)| line(key, [Value::Integer(count(events))]))
            .collect()
    }
}

fn line(key: &Key, rest: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let (tenant, entity) = key.clone();
    [tenant, entity]
        .map(Value::Text)
        .into_iter()
        .chain(rest)
        .collect()
}

fn or_null(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Null)
}

fn to_sql(value: &Json) -> Option<Value> {
    match value {
        Json::String(text) => Some(Value::Text(text.clone())),
        Json::Number(number) => number.as_i64().map(Value::Integer),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// So that whatever equals the model after a part of the history is right too.
    #[test]
    fn it_ends_where_somebody_else_has_computed() {
        let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let shared = env::var_os("MILLSTREAM_SHARED").map_or(shared, PathBuf::from);
        let events = shared.join("data/employees/events.ndjson.gz");
        if !events.exists() {
            println!(
                "skipped: no data/employees beside the workspace (MILLSTREAM_SHARED names it)"
            );
            return;
        }
        let history = History {
            events: Some(events),
            seed: None,
            limit: None,
        };
        let expected = history.expected().expect("it lies beside the events");
        let expected = fs::read_to_string(expected).unwrap();
        let found = Model::of(&history).unwrap().csv();
        assert!(found == expected, "the model is wrong");
    }
}
