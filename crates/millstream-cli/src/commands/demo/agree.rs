//! Whether every target holds what the source says, row by row.

use std::path::Path;

use anyhow::Context;
use millstream::rusqlite::types::Value;
use millstream::rusqlite::{Connection, OpenFlags, Row, Rows};

/// A table of a target, and what it should hold as a query of the CRM's tables.
struct Pair {
    application: &'static str,
    source: &'static str,
    target: &'static str,
    /// How many columns, from the first, name a row.
    key: usize,
}

const PAIRS: [Pair; 5] = [
    Pair {
        application: "hr",
        source: "SELECT tenant_id, user_id, first_name, last_name, email, birth_date, gender,
                        hire_date, title, salary FROM users ORDER BY 1, 2",
        target: "SELECT tenant_id, user_id, first_name, last_name, email, birth_date, gender,
                        hire_date, title, salary FROM employees ORDER BY 1, 2",
        key: 2,
    },
    Pair {
        application: "hr",
        source: "SELECT tenant_id, user_id, department_id, department, since
                 FROM user_departments ORDER BY 1, 2, 3",
        target: "SELECT tenant_id, user_id, department_id, department, since
                 FROM employee_departments ORDER BY 1, 2, 3",
        key: 3,
    },
    Pair {
        application: "affiliate",
        source: "SELECT tenant_id, user_id, first_name || ' ' || last_name, hire_date, salary
                 FROM users WHERE first_name IS NOT NULL OR salary IS NOT NULL ORDER BY 1, 2",
        target: "SELECT tenant_id, partner_id, name, joined, credit FROM partners ORDER BY 1, 2",
        key: 2,
    },
    Pair {
        application: "system",
        source: "SELECT tenant_id, user_id, active, CASE active WHEN 1 THEN hire_date END, title
                 FROM users WHERE active IS NOT NULL OR title IS NOT NULL ORDER BY 1, 2",
        target: "SELECT tenant_id, account_id, active, created, role FROM accounts ORDER BY 1, 2",
        key: 2,
    },
    Pair {
        application: "system",
        source: "SELECT tenant_id, user_id, department_id FROM user_departments ORDER BY 1, 2, 3",
        target: "SELECT tenant_id, account_id, organization_id FROM memberships ORDER BY 1, 2, 3",
        key: 3,
    },
];

/// What a comparison of an application's tables found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreement {
    pub(super) application: &'static str,
    pub(super) rows: u64,
    /// Rows that are missing, left over, or different.
    pub(super) differences: u64,
}

/// Compares every target in the folder with the CRM, both read at one moment each.
pub(super) fn compare(dir: &Path) -> anyhow::Result<Vec<Agreement>> {
    let crm = open(dir, "crm")?;
    let mut agreements: Vec<Agreement> = Vec::new();
    for pair in &PAIRS {
        let db = open(dir, pair.application)?;
        let (rows, differences) = compare_pair(&crm, &db, pair)
            .with_context(|| format!("cannot compare {}", pair.application))?;
        match agreements
            .iter_mut()
            .find(|known| known.application == pair.application)
        {
            Some(known) => {
                known.rows += rows;
                known.differences += differences;
            }
            None => {
                let application = pair.application;
                agreements.push(Agreement {
                    application,
                    rows,
                    differences,
                });
            }
        }
    }
    Ok(agreements)
}

fn open(dir: &Path, application: &str) -> anyhow::Result<Connection> {
    let path = dir.join(format!("{application}.db"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(&path, flags)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Walks both sides in the order of their keys, holding one row of each.
fn compare_pair(
    source: &Connection,
    target: &Connection,
    pair: &Pair,
) -> anyhow::Result<(u64, u64)> {
    let mut source = source.prepare(pair.source)?;
    let mut target = target.prepare(pair.target)?;
    let (mut source, mut target) = (source.query([])?, target.query([])?);
    let (mut left, mut right) = (next(&mut source)?, next(&mut target)?);
    let (mut rows, mut differences) = (0, 0);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok((rows, differences)),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => key(left, pair).cmp(&key(right, pair)),
        };
        match order {
            std::cmp::Ordering::Equal => {
                differences += u64::from(left != right);
                left = next(&mut source)?;
            }
            std::cmp::Ordering::Less => {
                differences += 1;
                left = next(&mut source)?;
                continue;
            }
            std::cmp::Ordering::Greater => differences += 1,
        }
        rows += 1;
        right = next(&mut target)?;
    }
}

fn next(rows: &mut Rows<'_>) -> anyhow::Result<Option<Vec<Value>>> {
    let values = |row: &Row<'_>| -> anyhow::Result<Vec<Value>> {
        (0..row.as_ref().column_count())
            .map(|column| Ok(row.get(column)?))
            .collect()
    };
    rows.next()?.map(values).transpose()
}

/// The columns that name a row: text on both sides, compared byte for byte as SQLite sorts it.
fn key<'a>(row: &'a [Value], pair: &Pair) -> Vec<&'a str> {
    let text = |value: &'a Value| match value {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    row[..pair.key].iter().map(text).collect()
}
