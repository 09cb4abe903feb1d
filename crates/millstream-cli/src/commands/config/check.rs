use anyhow::{Context, Error};
use serde_json::json;

use millstream::core::capture::Captured;
use millstream::{App, Config, Database, Misfit, Transport};

use crate::cli::Global;
use crate::context;
use crate::exit_code::{Code, Coded};
use crate::output::{self, Problems};

/// Looks at the file alone.
pub(super) fn offline(global: &Global) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    if global.json {
        output::json(&json!({ "ok": true, "databases": [], "problems": [], "remarks": [] }))?;
    } else {
        output::line(format!(
            "{} can be read; databases were not looked at",
            config.path.display()
        ))?;
    }
    Ok(Code::Done)
}

/// Compares the file with everything that it names. What is away hides nothing of the rest.
pub(super) async fn check(global: &Global) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let mut problems = Problems::new(global);
    let mut checked = Vec::new();
    let mut remarks = Vec::new();
    for app in config.apps.values() {
        let found = look(app).await;
        let found = found.with_context(|| format!("{}: {}", app.name(), app.location()));
        let Some((misfits, more)) = problems.of(Some(app.name()), found) else {
            continue;
        };
        checked.push(app.name().as_str());
        for error in explain(&config, app, misfits) {
            problems.tell(Some(app.name()), &error);
        }
        remarks.extend(more);
    }
    let unheard = problems.of(None, look_at_transport(&config).await);
    remarks.extend(unheard.into_iter().flatten());
    if global.json {
        output::json(&json!({
            "ok": problems.code() == Code::Done,
            "databases": checked,
            "problems": problems.told(),
            "remarks": remarks,
        }))?;
    } else if problems.code() == Code::Done {
        let checked = checked.join(", ");
        output::line(format!(
            "{} fits the databases of {checked}",
            config.path.display()
        ))?;
    }
    for remark in remarks {
        output::remark(global, format!("remark: {remark}"));
    }
    Ok(problems.code())
}

/// What does not fit between an application and its database, and what is to be remarked on.
async fn look(app: &App) -> Result<(Vec<Misfit>, Vec<String>), millstream::core::error::Error> {
    let database: &dyn Database = &*app.database();
    let misfits = app.check(database).await?;
    let captured = database.captured().await?;
    let remarks = uncaptured(app, &misfits, &captured);
    let changed = captured.into_iter().filter_map(|one| one.problem);
    let changed = changed.map(|what| format!("{}: {what}", app.name()));
    Ok((misfits, remarks.into_iter().chain(changed).collect()))
}

/// Sources that could be captured, and are not. No error: the application may write to its outbox
/// itself.
fn uncaptured(app: &App, misfits: &[Misfit], captured: &[Captured]) -> Vec<String> {
    if app.publishes().is_empty() {
        return Vec::new();
    }
    let name = app.name();
    let misfitting = |at: usize| {
        let is_it =
            |misfit: &Misfit| matches!(misfit, Misfit::Source { source, .. } if *source == at);
        misfits.iter().any(is_it)
    };
    let sources = app.sources().iter().enumerate();
    sources
        .filter(|(at, source)| {
            !misfitting(*at) && captured.iter().all(|one| one.table != source.table)
        })
        .map(|(_, source)| {
            let table = &source.table;
            format!(
                "{name}: changes of table {table} are no events: \
                 `millstream outbox capture {table} --app {name}` makes them some"
            )
        })
        .collect()
}

/// Puts what the database told beside the lines that it is about.
fn explain(config: &Config, app: &App, misfits: Vec<Misfit>) -> Vec<Error> {
    let name = app.name();
    let errors = misfits.into_iter().map(|misfit| {
        let finding = match misfit {
            Misfit::Mapping(problem) => config.locate(name, &problem),
            Misfit::Source { source, reason } => {
                config.locate_source(name, source, &reason.to_string())
            }
            Misfit::Shards(error) => return Error::new(error).context(name.to_string()),
            Misfit::Right(what) => return Coded::invalid(format!("{name}: {what}")),
            other => return Coded::invalid(format!("{name}: {other:?}")),
        };
        millstream::config::Error::Findings(vec![finding]).into()
    });
    errors.collect()
}

/// Asks the transport about everything that will be used of it, and remarks on what nobody publishes.
async fn look_at_transport(config: &Config) -> anyhow::Result<Vec<String>> {
    let transport = context::connect(config).await?;
    let apps: Vec<&App> = config.apps.values().collect();
    context::look(&transport, &apps, &|_| true).await?;
    unheard(config, &transport).await
}

/// Streams that are followed, and that nobody has published to or says that they will. No error:
/// a publisher that is configured elsewhere may come later.
async fn unheard(config: &Config, transport: &Transport) -> anyhow::Result<Vec<String>> {
    let mut remarks = Vec::new();
    for stream in context::streams(config) {
        let publishes = |app: &App| app.publishes().iter().any(|one| one.name == stream);
        if config.apps.values().any(publishes) || context::is_known(transport, &stream).await? {
            continue;
        }
        let follows = |app: &&App| app.subscribes().contains(&stream);
        let followers: Vec<_> = config
            .apps
            .values()
            .filter(follows)
            .map(|app| app.name().as_str())
            .collect();
        remarks.push(format!(
            "{} subscribes to {stream}, which nobody publishes to yet",
            followers.join(", ")
        ));
    }
    Ok(remarks)
}
