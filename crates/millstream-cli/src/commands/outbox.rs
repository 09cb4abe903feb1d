use std::sync::Arc;

use anyhow::Context;
use serde_json::json;

use millstream::core::capture::{Captured, Happening};
use millstream::core::error::Error;
use millstream::core::store;
use millstream::{App, Config, Source};

use crate::cli::{Global, Outbox};
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output::{self, Problems, Table};

pub(super) async fn run(global: &Global, args: &Outbox) -> anyhow::Result<Code> {
    match args {
        Outbox::Capture {
            table,
            app,
            dry_run,
            remove: false,
        } => capture(global, table, app.as_deref(), *dry_run).await,
        Outbox::Capture {
            table,
            app,
            dry_run,
            remove: true,
        } => release(global, table, app.as_deref(), *dry_run).await,
        Outbox::Captured { app } => captured(global, app).await,
    }
}

async fn capture(
    global: &Global,
    table: &str,
    app: Option<&str>,
    dry_run: bool,
) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let (app, source) = find(&config, table, app)?;
    let failed = || format!("{}: {}", app.name(), app.location());
    if app.publishes().is_empty() {
        let name = app.name();
        return Err(Coded::invalid(format!(
            "{name} publishes to no stream, so nobody would get the events: \
             add publishes = [\"STREAM\"] to [apps.{name}]"
        )));
    }
    let database = app.database();
    database.identity().await.with_context(failed)?;
    if dry_run {
        let statements = database.capture_statements(source).await;
        let statements = statements.with_context(failed)?;
        if global.json {
            let name = app.name().as_str();
            output::json(&json!({ "app": name, "table": table, "statements": statements }))?;
        } else {
            show(app, &statements)?;
        }
        return Ok(Code::Done);
    }
    database.capture(source).await.with_context(failed)?;
    let kinds = [Happening::Created, Happening::Updated, Happening::Deleted];
    let types = kinds.map(|happening| format!("{}.{happening}", source.event));
    if global.json {
        let name = app.name().as_str();
        output::json(&json!({ "app": name, "table": table, "eventTypes": types }))?;
    } else {
        output::line(format!(
            "{}: changes of {table} are {} from now on",
            app.name(),
            types.join(", ")
        ))?;
    }
    output::remark(global, "rows that are there already are not sent");
    let tables = database
        .tables(&[table.into()])
        .await
        .with_context(failed)?;
    if let Some(Some(table)) = tables.first()
        && !identifies(source, table)
    {
        let columns = source.tenant.iter().chain([&source.entity]);
        let columns: Vec<_> = columns.map(String::as_str).collect();
        let text = format!(
            "no unique key says that {} tell rows apart: followers take rows that share them for one",
            columns.join(" and ")
        );
        output::remark(global, text);
    }
    Ok(Code::Done)
}

/// Prints statements for people.
fn show(app: &App, statements: &[String]) -> anyhow::Result<()> {
    output::line(format!("-- {} ({})", app.name(), app.location()))?;
    for statement in statements {
        output::line(format!("{statement};"))?;
    }
    Ok(())
}

/// Whether tenant and entity name one row at the most.
fn identifies(source: &Source, table: &store::Table) -> bool {
    let is_named =
        |column: &Arc<str>| **column == *source.entity || source.tenant.as_deref() == Some(column);
    let mut keys = table.unique.iter();
    keys.any(|key| key.iter().all(is_named))
}

/// The one application that has a source for the table, and that.
fn find<'a>(
    config: &'a Config,
    table: &str,
    app: Option<&str>,
) -> anyhow::Result<(&'a App, &'a Source)> {
    let names: Vec<String> = app.map(ToOwned::to_owned).into_iter().collect();
    let apps = context::select(config, &names)?;
    let source = |app: &&'a App| {
        let source = app.sources().iter().find(|source| source.table == table);
        source.map(|source| (*app, source))
    };
    let found: Vec<_> = apps.iter().filter_map(source).collect();
    match &found[..] {
        [one] => Ok(*one),
        [] => {
            let sources = apps.iter().flat_map(|app| app.sources());
            let known: Vec<_> = sources.map(|source| source.table.as_str()).collect();
            let known = match known.is_empty() {
                true => "there is none".to_owned(),
                false => format!("there are those of {}", known.join(", ")),
            };
            Err(Coded::invalid(format!(
                "no [[apps.NAME.source]] is for table {table}; {known}"
            )))
        }
        several => {
            let names: Vec<_> = several.iter().map(|(app, _)| app.name().as_str()).collect();
            Err(Coded::invalid(format!(
                "{} have a source for table {table}: name one of them by --app",
                names.join(", ")
            )))
        }
    }
}

/// A table that is captured may be in no configuration any more.
async fn release(
    global: &Global,
    table: &str,
    app: Option<&str>,
    dry_run: bool,
) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let names: Vec<String> = app.map(ToOwned::to_owned).into_iter().collect();
    let mut owners = Vec::new();
    for app in context::select(&config, &names)? {
        let failed = || format!("{}: {}", app.name(), app.location());
        let database = app.database();
        database.identity().await.with_context(failed)?;
        let captured = database.captured().await.with_context(failed)?;
        if captured.iter().any(|one| one.table == table) {
            owners.push((app, database));
        }
    }
    let (app, database) = match &owners[..] {
        [one] => one,
        [] => {
            return Err(Coded::invalid(format!(
                "table {table} is not captured; `millstream outbox captured` lists those that are"
            )));
        }
        _ => {
            let names: Vec<_> = owners.iter().map(|(app, _)| app.name().as_str()).collect();
            return Err(Coded::invalid(format!(
                "{} capture a table {table}: name one of them by --app",
                names.join(", ")
            )));
        }
    };
    let failed = || format!("{}: {}", app.name(), app.location());
    let name = app.name().as_str();
    if dry_run {
        let statements = database.uncapture_statements(table).await;
        let statements = statements.with_context(failed)?;
        if global.json {
            output::json(&json!({
                "app": name, "table": table, "removed": false, "dryRun": true, "statements": statements,
            }))?;
        } else {
            show(app, &statements)?;
            output::remark(
                global,
                format!("changes of {table} would no longer be events"),
            );
        }
        return Ok(Code::Done);
    }
    database.uncapture(table).await.with_context(failed)?;
    if global.json {
        output::json(&json!({ "app": name, "table": table, "removed": true }))?;
    } else {
        output::line(format!("{name}: changes of {table} are no events any more"))?;
    }
    Ok(Code::Done)
}

async fn captured(global: &Global, names: &[String]) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let mut table = Table::new(["app", "table", "event", "state"]);
    let mut problems = Problems::new(global);
    let mut count = 0;
    for app in context::select(&config, names)? {
        let captures = captures_of(app).await;
        let captures = captures.with_context(|| format!("{}: {}", app.name(), app.location()));
        for captured in problems
            .of(Some(app.name()), captures)
            .into_iter()
            .flatten()
        {
            count += 1;
            if global.json {
                output::json(&json!({
                    "app": app.name().as_str(),
                    "table": captured.table,
                    "event": captured.event,
                    "problem": captured.problem,
                }))?;
                continue;
            }
            table.row([
                app.name().to_string(),
                captured.table,
                captured.event,
                captured.problem.unwrap_or_else(|| "ok".into()),
            ]);
        }
    }
    if !global.json {
        if count > 0 {
            output::line(table)?;
        } else if problems.code() == Code::Done {
            output::remark(global, "no table is captured");
        }
    }
    Ok(problems.code())
}

async fn captures_of(app: &App) -> Result<Vec<Captured>, Error> {
    let database = app.database();
    database.identity().await?;
    database.captured().await
}
