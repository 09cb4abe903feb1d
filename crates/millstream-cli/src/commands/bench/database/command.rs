use crate::cli::{Bench, Global};
use crate::commands::bench::command::{ROUNDS, median};
use crate::commands::bench::database::DatabasePart;
use crate::commands::bench::database::report;
use crate::commands::bench::database::target::Target;
use crate::commands::bench::part::{self, Measured, Part};
#[cfg(feature = "redis")]
use crate::commands::bench::server;
use crate::exit_code::Code;
use crate::output::Progress;

/// Measures both in turns, and removes what they left.
pub(in crate::commands::bench) async fn run(global: &Global, args: &Bench) -> anyhow::Result<Code> {
    let mut target = Target::connect(args).await?;
    target.must_be_free().await?;
    let run = uuid::Uuid::new_v4().simple().to_string();
    let args = Bench {
        run: Some(run[..12].to_owned()),
        ..args.clone()
    };
    let measured = measure(global, &args).await;
    // Whatever came of it.
    target.clear().await?;
    let (floor, drain) = measured?;
    let transport = match args.transport() {
        Some(url) => millstream::config::Transport::parse(url)?.to_string(),
        None => "the embedded log".to_owned(),
    };
    report::print(global, &args, target.name(), &transport, &floor, &drain)?;
    Ok(Code::Done)
}

async fn measure(global: &Global, args: &Bench) -> anyhow::Result<(Measured, Measured)> {
    let progress = Progress::new(global);
    let bar = progress.bar("measured", Some(u64::from(3 * ROUNDS)));
    let (mut floors, mut drains) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // A log of its own for each round: whoever has drained it is registered there.
        let dir = tempfile::tempdir()?;
        let part = async |part: Part| {
            let measured = part::run(part, args, dir.path()).await;
            bar.inc(1);
            measured
        };
        let measured = async {
            part(Part::Fill).await?;
            let floor = part(Part::Database(DatabasePart::Floor)).await?;
            let drain = part(Part::Database(DatabasePart::Drain)).await?;
            anyhow::Ok((floor, drain))
        };
        let measured = measured.await;
        #[cfg(feature = "redis")]
        if let Some(url) = args.transport() {
            server::clear_at(url, args, dir.path()).await?;
        }
        let (floor, drain) = measured?;
        floors.push(floor);
        drains.push(drain);
    }
    bar.finish_and_clear();
    Ok((median(floors), median(drains)))
}
