use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use millstream::rusqlite::Connection;

/// The columns of `expected.csv`.
pub(crate) const HEADER: &str =
    "tenant_id,entity_id,first_name,last_name,hire_date,title,salary,departments";

/// HR's tables equal the file that somebody else has computed, byte for byte.
pub(crate) fn export(hr: &Connection, expected: &Path) -> anyhow::Result<()> {
    let expected = fs::read_to_string(expected).context("expected.csv")?;
    same(&csv(hr)?, &expected).context("expected.csv")
}

/// The two are equal, byte for byte.
pub(crate) fn same(found: &str, expected: &str) -> anyhow::Result<()> {
    let mut lines = found.lines().zip(expected.lines()).zip(1..);
    let differing: Option<((&str, &str), i32)> =
        lines.find(|((found, expected), _)| found != expected);
    if let Some(((found, expected), line)) = differing {
        anyhow::bail!("line {line}:\n  expected {expected}\n  found    {found}");
    }
    ensure!(found == expected, "there is another number of lines");
    Ok(())
}

fn csv(hr: &Connection) -> anyhow::Result<String> {
    let mut statement = hr.prepare(
        "SELECT concat_ws(',', tenant_id, user_id, coalesce(first_name, ''), coalesce(last_name, ''),
                coalesce(hire_date, ''), coalesce(title, ''), coalesce(salary, ''),
                coalesce((SELECT group_concat(department_id, '|' ORDER BY department_id)
                          FROM employee_departments d
                          WHERE d.tenant_id = e.tenant_id AND d.user_id = e.user_id), ''))
         FROM employees e ORDER BY CAST(user_id AS INTEGER), tenant_id",
    )?;
    let mut text = format!("{HEADER}\n");
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        text.push_str(row.get_ref(0)?.as_str()?);
        text.push('\n');
    }
    Ok(text)
}
