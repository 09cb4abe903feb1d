//! What must come out: the history, folded in its order by a plain program that knows nothing of
//! streams.

use std::collections::BTreeMap;

use anyhow::bail;
use millstream::rusqlite::types::Value;
use serde_json::Value as Json;

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
