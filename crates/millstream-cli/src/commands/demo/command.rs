use std::time::Instant;

use anyhow::Context;

use millstream::Config;

use crate::cli::{Demo, Global};
use crate::commands::demo::{agree, folder, generate, pipeline, report};
use crate::exit_code::Code;
use crate::output::Progress;

pub(in crate::commands) async fn run(global: &Global, args: &Demo) -> anyhow::Result<Code> {
    folder::prepare(&args.dir)?;
    let config = Config::load(args.dir.join("millstream.toml"))?;
    for app in config.apps.values() {
        app.migrate()
            .await
            .with_context(|| format!("{}: {}", app.name(), app.location()))?;
    }
    let events = generate::Events::open(args)?;

    let started = Instant::now();
    let progress = Progress::new(global);
    let ran = pipeline::run(&config, &args.dir, events, &progress).await?;
    let elapsed = started.elapsed();

    let dir = args.dir.clone();
    let agreements = tokio::task::spawn_blocking(move || agree::compare(&dir)).await??;
    let report = report::Report {
        ran,
        agreements,
        elapsed,
        dir: args.dir.clone(),
    };
    report.print(global)?;
    Ok(if report.agrees() {
        Code::Done
    } else {
        Code::Differs
    })
}
