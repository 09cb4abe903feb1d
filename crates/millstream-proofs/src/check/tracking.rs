use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use millstream::rusqlite::Connection;

use crate::history::event_id;
use crate::model::{Key, Model};
use crate::site::View;

/// Every application tracks every event exactly once, as processed, in the order of its key, and
/// nothing is a dead letter; CRM tracks it as processed for each of them.
pub(crate) fn tracking(view: &View, model: &Model) -> anyhow::Result<()> {
    for (application, db) in view.followers() {
        let own = tracked(db, model, &[application]);
        own.with_context(|| application.to_owned())?;
        let inbox = "SELECT tenant_id, entity_id, event_id FROM millstream_inbox
                     ORDER BY shard, generation, seq";
        in_order(db, inbox, model).with_context(|| format!("the inbox of {application}"))?;
    }
    let applications = view.followers().map(|(application, _)| application);
    tracked(&view.crm, model, &applications).context("crm")?;
    let journal = "SELECT tenant_id, user_id, event_id FROM journal ORDER BY id";
    in_order(&view.affiliate, journal, model).context("the journal of affiliate")
}

fn tracked(db: &Connection, model: &Model, applications: &[&str]) -> anyhow::Result<()> {
    let dead: i64 = db.query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))?;
    ensure!(dead == 0, "{dead} dead letters");

    let events = usize::try_from(model.count)?;
    let mut tracked = vec![0_u32; (events + 1) * applications.len()];
    let place = |number: usize, application: usize| number * applications.len() + application;
    let mut statement = db.prepare("SELECT event_id, application, status FROM event_tracking")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let (of, status): (String, String) = (row.get(1)?, row.get(2)?);
        let application = applications.iter().position(|known| *known == of);
        let application = application.with_context(|| format!("{id} is tracked for {of}"))?;
        ensure!(status == "processed", "{id} is {status} for {of}");
        let number = id
            .strip_prefix("event-")
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|number| (1..=events).contains(number));
        let number = number.with_context(|| format!("{id} never happened"))?;
        tracked[place(number, application)] += 1;
    }
    for number in 1..=events {
        for (application, name) in applications.iter().enumerate() {
            let times = tracked[place(number, application)];
            let id = event_id(number as u64);
            ensure!(times == 1, "{id} is tracked {times} times for {name}");
        }
    }
    Ok(())
}

/// The rows of each key are all of its events, once each, in the order in which they happened.
fn in_order(db: &Connection, sql: &str, model: &Model) -> anyhow::Result<()> {
    let mut found: BTreeMap<Key, Vec<String>> = BTreeMap::new();
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found
            .entry((row.get(0)?, row.get(1)?))
            .or_default()
            .push(row.get(2)?);
    }
    all_in_order(&found, model)
}

/// These are all events of each key, once each, in the order in which they happened.
pub(crate) fn all_in_order(
    found: &BTreeMap<Key, Vec<String>>,
    model: &Model,
) -> anyhow::Result<()> {
    ensure!(
        found.keys().eq(model.events.keys()),
        "it knows other keys than the history"
    );
    for (key, numbers) in &model.events {
        let expected: Vec<String> = numbers.iter().map(|&number| event_id(number)).collect();
        ensure!(
            found[key] == expected,
            "{key:?}: expected {expected:?}, found {:?}",
            found[key]
        );
    }
    Ok(())
}
