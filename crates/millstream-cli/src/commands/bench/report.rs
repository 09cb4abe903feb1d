use serde_json::json;

use crate::cli::{Bench, Global};
use crate::commands::bench::command::ROUNDS;
use crate::commands::bench::part::Measured;
use crate::output;

pub(super) fn print(
    global: &Global,
    args: &Bench,
    floor: &Measured,
    drain: &Measured,
    latency: &Measured,
) -> anyhow::Result<()> {
    let ratio = drain.per_second / floor.per_second;
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    if global.json {
        return output::json(&json!({
            "events": args.events,
            "payloadBytes": args.payload,
            "cores": cores,
            "floorPerSecond": floor.per_second,
            "consumerPerSecond": drain.per_second,
            "ratio": ratio,
            "rate": args.rate,
            "p50Ms": latency.p50_ms,
            "p99Ms": latency.p99_ms,
            "peakBytes": drain.peak_bytes,
        }));
    }
    output::line(format!(
        "{} events of {} bytes, SQLite, synchronous=FULL, {cores} cores, medians of {}\n\n\
         floor      {:>9.0} events/s   bare prepared statements, one thread, 1,000 events a commit\n\
         consumer   {:>9.0} events/s   log → decode → map → apply, with inbox and checkpoint\n\
         ratio      {ratio:>9.2}\n\
         latency    {:>9.1} ms p50, {:.1} ms p99, from publish to commit at {} events/s\n\
         memory     {:>9.1} MiB at the peak of the consumer's process",
        args.events,
        args.payload,
        ROUNDS,
        floor.per_second,
        drain.per_second,
        latency.p50_ms,
        latency.p99_ms,
        args.rate,
        mebibytes(drain.peak_bytes),
    ))?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}
