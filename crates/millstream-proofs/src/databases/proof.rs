use clap::Args;

use crate::databases::check;
use crate::databases::site::{Servers, runtime};
use crate::databases::stage::Stage;
use crate::model::Model;
use crate::run::Run;
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct Databases {
    /// How many processes and servers are killed
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// The application knows nothing of events: its tables are captured
    #[arg(long)]
    capture: bool,
    #[command(flatten)]
    run: Run,
}

/// Kills, lets everything settle, and compares every row. Returns the line that says so.
pub(crate) fn databases(args: Databases) -> anyhow::Result<String> {
    let Databases {
        kills,
        capture,
        run,
    } = args;
    run.prove("databases", |folder, history, seed| {
        let runtime = runtime()?;
        let model = Model::of(&history)?;
        let servers = runtime.block_on(Servers::start())?;
        let site = runtime.block_on(servers.prepare(folder.path(), capture))?;
        let mut stage = Stage::begin(runtime, servers, &site, &history, &model, capture)?;
        stage.kill(kills, seed)?;
        stage.settle()?;
        let seconds = stage.seconds();
        stage.fleet.stop()?;
        say(format!("settled after {seconds:.1} s, checking"));
        let (_, at_work) = stage.fleet.kills();
        let compared = stage.look(async |stage| check::all(stage, &model, &history).await)?;
        Ok(format!(
            "databases: ok: {kills} kills ({}, {at_work} of them at work; {}); {} happenings, {compared}; {} entries again; \
             {seconds:.1} s; seed {seed}",
            stage.fleet.victims(),
            stage.server_kills(),
            model.count,
            stage.fleet.repeated(),
        ))
    })
}
