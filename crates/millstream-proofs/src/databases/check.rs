//! What must hold at the end, read from the databases themselves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, bail, ensure};
use millstream::rusqlite::types::Value;

use crate::check::{HEADER, all_in_order, same};
use crate::databases::eyes::{Eyes, Texts, text};
use crate::databases::stage::Stage;
use crate::history::History;
use crate::model::{Key, Model};

/// Compares everything that the databases hold, and says with what.
pub(super) async fn all(stage: &Stage, model: &Model, history: &History) -> anyhow::Result<String> {
    let events = outbox(&stage.crm, model, stage.capture)
        .await
        .context("crm")?;
    if stage.capture {
        equal(&stage.crm, "people", model.employees()).await?;
        equal(&stage.crm, ASSIGNMENTS, model.departments()).await?;
    } else {
        equal(&stage.crm, "users", model.users()).await?;
    }
    let (expected, compared) = expected(model, history)?;
    for (name, eyes) in &stage.followers {
        let checked = async {
            equal(eyes, "employees", model.employees()).await?;
            equal(eyes, "employee_departments", model.departments()).await?;
            tracked(eyes, name, events).await?;
            if !stage.capture {
                equal(eyes, "balances", model.balances()).await?;
                in_order(eyes, model).await?;
            }
            let found = export(eyes).await?;
            same(&found, &expected).with_context(|| format!("not equal to {compared}"))
        };
        checked.await.with_context(|| (*name).to_owned())?;
    }
    let kept = format!(
        "{events} events, each once in all three databases, byte for byte equal to {compared}"
    );
    Ok(kept)
}

/// What a follower's tables must be, and where that is from: somebody else's file where there is one for
/// this history, otherwise the model.
fn expected(model: &Model, history: &History) -> anyhow::Result<(String, &'static str)> {
    match history.expected() {
        Some(path) => {
            let text = fs::read_to_string(path).context("expected.csv")?;
            Ok((text, "the model and expected.csv"))
        }
        None => Ok((model.csv(), "the model")),
    }
}

/// The captured table as the model has it.
const ASSIGNMENTS: &str =
    "(SELECT tenant_id, user_id, department_id, department, since FROM assignments) a";

/// Every row is what the model says, and there are no others.
async fn equal(eyes: &Eyes, table: &str, expected: Vec<Vec<Value>>) -> anyhow::Result<()> {
    let expected: Vec<Texts> = expected
        .into_iter()
        .map(|row| row.into_iter().map(text).collect())
        .collect();
    let mut found = eyes.rows(&format!("SELECT * FROM {table}")).await?;
    found.sort();
    let mut pairs = found.iter().zip(&expected);
    if let Some((found, expected)) = pairs.find(|(found, expected)| found != expected) {
        bail!("{table}: expected {expected:?}, found {found:?}");
    }
    let (found, expected) = (found.len(), expected.len());
    ensure!(
        found == expected,
        "{table}: expected {expected} rows, found {found}"
    );
    Ok(())
}

/// The outbox holds every event once; versions of a key are dense, and numbers rise with them. Returns
/// how many events there are.
async fn outbox(crm: &Eyes, model: &Model, capture: bool) -> anyhow::Result<u64> {
    let rows = crm
        .rows(
            "SELECT tenant_id, partition_key, entity_version, event_id, shard, generation, seq
             FROM outbox ORDER BY tenant_id, partition_key, entity_version",
        )
        .await?;
    let mut keys: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    let mut last: Option<(Key, String, u64)> = None;
    for row in &rows {
        let text = |at: usize| row[at].clone().with_context(|| format!("{row:?}"));
        let number = |at: usize| anyhow::Ok(text(at)?.parse::<u64>()?);
        let key = (text(0)?, text(1)?);
        let (shard, seq) = (text(4)?, number(6)?);
        ensure!(number(5)? == 1, "it is in another generation: {row:?}");
        let known = keys.entry(key.clone()).or_default();
        known.push(text(3)?);
        ensure!(
            number(2)? == known.len() as u64,
            "versions have a gap: {row:?}"
        );
        if let Some((same, of, before)) = last.filter(|(same, ..)| *same == key) {
            ensure!(of == shard, "{same:?} is in two shards");
            ensure!(seq > before, "{same:?} has seq {seq} after {before}");
        }
        last = Some((key, shard, seq));
    }
    if !capture {
        all_in_order(&keys, model)?;
    }
    Ok(rows.len() as u64)
}

/// Each event was settled once, and applied.
async fn tracked(eyes: &Eyes, name: &str, events: u64) -> anyhow::Result<()> {
    let counts = eyes
        .rows("SELECT status, application, count(*), count(DISTINCT event_id) FROM event_tracking GROUP BY 1, 2")
        .await?;
    let events = Some(events.to_string());
    let expected = [
        Some("processed".into()),
        Some(name.into()),
        events.clone(),
        events,
    ];
    ensure!(counts == [expected.to_vec()], "tracked: {counts:?}");
    let dead = eyes.number("SELECT count(*) FROM dead_letters").await?;
    ensure!(dead == 0, "{dead} dead letters");
    Ok(())
}

/// The inbox has all events of each key, once each, in the order in which they happened.
async fn in_order(eyes: &Eyes, model: &Model) -> anyhow::Result<()> {
    let inbox = "SELECT tenant_id, entity_id, event_id FROM millstream_inbox
                 ORDER BY shard, generation, seq";
    let mut found: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    for row in eyes.rows(inbox).await? {
        let mut texts = row.into_iter().flatten();
        let mut next = || texts.next().context("a row without a name");
        let key = (next()?, next()?);
        found.entry(key).or_default().push(next()?);
    }
    all_in_order(&found, model)
}

/// The tables as the file has them that somebody else has computed.
async fn export(eyes: &Eyes) -> anyhow::Result<String> {
    let employees = "SELECT tenant_id, user_id, first_name, last_name, hire_date, title, salary
                     FROM employees";
    let mut employees = eyes.rows(employees).await?;
    let number = |row: &Texts| row[1].as_deref().and_then(|id| id.parse::<u64>().ok());
    employees.sort_by_key(|row| (number(row), row[..2].to_vec()));
    let mut departments: BTreeMap<Texts, Vec<String>> = BTreeMap::new();
    for mut row in eyes
        .rows("SELECT tenant_id, user_id, department_id FROM employee_departments")
        .await?
    {
        let department = row.pop().flatten().context("a department")?;
        departments.entry(row).or_default().push(department);
    }
    let mut text = format!("{HEADER}\n");
    for row in employees {
        for value in &row {
            write!(text, "{},", value.as_deref().unwrap_or_default())?;
        }
        let mut own = departments.remove(&row[..2]).unwrap_or_default();
        own.sort();
        writeln!(text, "{}", own.join("|"))?;
    }
    Ok(text)
}
