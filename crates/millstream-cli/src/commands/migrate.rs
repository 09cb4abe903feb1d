use anyhow::Context;
use serde_json::json;

use millstream::Migration;

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
        let told = app.notifies().await.with_context(failed)?;
        let Migration { from, to } = app.migrate().await.with_context(failed)?;
        let tells = app.notifies().await.with_context(failed)?;
        let notify = (told != tells).then_some(tells);
        let name = app.name();
        if global.json {
            let name = name.as_str();
            output::json(&json!({ "app": name, "from": from, "to": to, "notify": notify }))?;
            continue;
        }
        let tables = match from == to {
            true => format!("version {to}"),
            false => format!("version {from} → {to}"),
        };
        let place = app.location();
        output::line(match notify {
            None if from == to => format!("{name}: up to date ({tables})"),
            None => format!("{name}: {tables} in {place}"),
            Some(true) => {
                format!("{name}: {tables} in {place}; writers tell the relay from now on")
            }
            Some(false) => {
                format!("{name}: {tables} in {place}; writers tell the relay no more")
            }
        })?;
    }
    Ok(Code::Done)
}
