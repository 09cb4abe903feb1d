use anyhow::bail;
use millstream::rusqlite::Connection;
use millstream::rusqlite::types::Value;

use crate::model::Model;
use crate::site::{View, rows};

/// Every row that the applications keep is what the model says, and there are no others.
pub(crate) fn tables(view: &View, model: &Model) -> anyhow::Result<()> {
    let (crm, hr) = (&view.crm, &view.hr);
    equal(
        crm,
        "users",
        "SELECT * FROM users ORDER BY 1, 2",
        &model.users(),
    )?;
    equal(
        hr,
        "employees",
        "SELECT * FROM employees ORDER BY 1, 2",
        &model.employees(),
    )?;
    equal(
        hr,
        "employee_departments",
        "SELECT * FROM employee_departments ORDER BY 1, 2, 3",
        &model.departments(),
    )?;
    equal(
        hr,
        "balances",
        "SELECT * FROM balances ORDER BY 1, 2",
        &model.balances(),
    )
}

fn equal(db: &Connection, table: &str, sql: &str, expected: &[Vec<Value>]) -> anyhow::Result<()> {
    let found = rows(db, sql)?;
    if let Some((found, expected)) = found.iter().zip(expected).find(|(f, e)| f != e) {
        bail!("{table}: expected {expected:?}, found {found:?}");
    }
    if found.len() != expected.len() {
        bail!(
            "{table}: expected {} rows, found {}",
            expected.len(),
            found.len()
        );
    }
    Ok(())
}
