use serde_json::json;

use crate::cli::{Bench, Global};
use crate::commands::bench::command::ROUNDS;
use crate::commands::bench::part::Measured;
use crate::commands::bench::report::mebibytes;
use crate::output;

pub(super) fn print(
    global: &Global,
    args: &Bench,
    database: &str,
    transport: &str,
    floor: &Measured,
    drain: &Measured,
) -> anyhow::Result<()> {
    let ratio = drain.per_second / floor.per_second;
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    if global.json {
        return output::json(&json!({
            "database": database,
            "transport": transport,
            "events": args.events,
            "payloadBytes": args.payload,
            "cores": cores,
            "floorPerSecond": floor.per_second,
            "consumerPerSecond": drain.per_second,
            "ratio": ratio,
            "peakBytes": drain.peak_bytes,
        }));
    }
    output::line(format!(
        "{} events of {} bytes, from {transport} into {database}, {cores} cores, medians of {ROUNDS}\n\n\
         floor      {:>9.0} events/s   rows made inside the server, one connection, 1,000 events a commit\n\
         consumer   {:>9.0} events/s   read → decode → map → apply, with inbox and checkpoint\n\
         ratio      {ratio:>9.2}\n\
         memory     {:>9.1} MiB at the peak of the consumer's process",
        args.events,
        args.payload,
        floor.per_second,
        drain.per_second,
        mebibytes(drain.peak_bytes),
    ))?;
    Ok(())
}
