use anyhow::Context;
use serde_json::json;

use millstream::{App, Transport};

use crate::cli::{Config, Global};
use crate::commands::run::explain;
use crate::context;
use crate::exit_code::Code;
use crate::output;

pub(super) async fn run(global: &Global, args: &Config) -> anyhow::Result<Code> {
    match args {
        Config::Check { offline } => check(global, *offline).await,
        Config::Show => show(global),
    }
}

async fn check(global: &Global, offline: bool) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let mut checked = Vec::new();
    let mut remarks = Vec::new();
    if !offline {
        let transport = context::connect(&config).await?;
        for app in config.apps.values() {
            let failed = || format!("{}: {}", app.name(), app.location());
            let database = app.database();
            database.identity().await.with_context(failed)?;
            let consumer = app.consumer(&transport)?;
            consumer
                .check()
                .await
                .map_err(|error| explain(&config, app.name(), error))?;
            for captured in database.captured().await.with_context(failed)? {
                remarks.extend(
                    captured
                        .problem
                        .map(|what| format!("{}: {what}", app.name())),
                );
            }
            checked.push(app.name().as_str());
        }
        let apps: Vec<&App> = config.apps.values().collect();
        context::look(&transport, &apps, &|_| true).await?;
        remarks.extend(unheard(&config, &transport).await?);
    }
    if global.json {
        output::json(&json!({ "ok": true, "databases": checked, "remarks": remarks }))?;
    } else if offline {
        output::line(format!(
            "{} can be read; databases were not looked at",
            config.path.display()
        ))?;
    } else {
        let checked = checked.join(", ");
        output::line(format!(
            "{} fits the databases of {checked}",
            config.path.display()
        ))?;
    }
    for remark in remarks {
        output::remark(global, format!("remark: {remark}"));
    }
    Ok(Code::Done)
}

/// Streams that are followed, and that nobody has published to or says that they will. No error:
/// a publisher that is configured elsewhere may come later.
async fn unheard(
    config: &millstream::Config,
    transport: &Transport,
) -> anyhow::Result<Vec<String>> {
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

fn show(global: &Global) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    let apps: serde_json::Map<_, _> = config
        .apps
        .values()
        .map(|app| {
            let publishes: Vec<_> = app
                .publishes()
                .iter()
                .map(|stream| json!({ "stream": stream.name.as_str(), "shards": stream.shards }))
                .collect();
            let subscribes: Vec<_> = app.subscribes().iter().map(|name| name.as_str()).collect();
            let shown = json!({
                "database": app.location().to_string(),
                "publishes": publishes,
                "subscribes": subscribes,
                "mappings": app.mappings().len(),
            });
            (app.name().to_string(), shown)
        })
        .collect();
    let shown = json!({ "transport": config.transport.to_string(), "apps": apps });
    if global.json {
        output::json(&shown)?;
    } else {
        output::line(serde_json::to_string_pretty(&shown)?)?;
    }
    Ok(Code::Done)
}
