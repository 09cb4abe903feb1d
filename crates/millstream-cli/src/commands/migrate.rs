use anyhow::Context;
use serde_json::json;

use crate::cli::{Global, Migrate};
use crate::context;
use crate::exit_code::Code;
use crate::output;

pub(super) async fn run(global: &Global, args: &Migrate) -> anyhow::Result<Code> {
    let config = context::load(global)?;
    for app in context::select(&config, &args.app)? {
        let failed = || format!("{}: {}", app.name(), app.location());
        if args.dry_run {
            let scripts = app.pending_migrations().await.with_context(failed)?;
            if global.json {
                output::json(&json!({ "app": app.name().as_str(), "pending": scripts }))?;
            } else if scripts.is_empty() {
                output::line(format!("-- {}: nothing to do", app.name()))?;
            } else {
                output::line(format!(
                    "-- {} ({})\n{}",
                    app.name(),
                    app.location(),
                    scripts.join("\n")
                ))?;
            }
            continue;
        }
        let migration = app.migrate().await.with_context(failed)?;
        if global.json {
            let (from, to) = (migration.from, migration.to);
            output::json(&json!({ "app": app.name().as_str(), "from": from, "to": to }))?;
        } else if migration.from == migration.to {
            output::line(format!(
                "{}: up to date (version {})",
                app.name(),
                migration.to
            ))?;
        } else {
            output::line(format!(
                "{}: version {} → {} in {}",
                app.name(),
                migration.from,
                migration.to,
                app.location()
            ))?;
        }
    }
    Ok(Code::Done)
}
