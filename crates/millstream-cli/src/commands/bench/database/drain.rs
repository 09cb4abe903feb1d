use std::path::Path;

use crate::cli::Bench;
use crate::commands::bench::database::target::{TABLE, Target};
use crate::commands::bench::drain::drain;
use crate::commands::bench::part::Measured;
use crate::commands::bench::place::Place;
use crate::commands::bench::rows;

pub(super) async fn measure(args: &Bench, dir: &Path) -> anyhow::Result<Measured> {
    let mut target = Target::connect(args).await?;
    let app = target.prepare(args).await?;
    let place = Place::of(args, dir, rows::LOG)?;
    let app = app
        .subscribe(place.stream.as_str())?
        .map(rows::mapping_to(TABLE));
    drain(args, &place, &app).await
}
