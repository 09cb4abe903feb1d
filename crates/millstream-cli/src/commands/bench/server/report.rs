use serde_json::json;

use millstream::config;

use crate::cli::{Bench, Global};
use crate::commands::bench::command::ROUNDS;
use crate::commands::bench::part::Measured;
use crate::commands::bench::report::mebibytes;
use crate::commands::bench::server::idle;
use crate::output;

/// What all parts have found.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) bare: Measured,
    pub(super) append: Measured,
    pub(super) relay: Measured,
    pub(super) floor: Measured,
    pub(super) drain: Measured,
    pub(super) latency: Measured,
    pub(super) idle_relay: Measured,
    pub(super) idle_consumer: Measured,
}

pub(super) fn print(
    global: &Global,
    args: &Bench,
    url: &str,
    found: &Results,
) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let transport = config::Transport::parse(url)?.to_string();
    let ratio = |of: &Measured, to: &Measured| of.per_second / to.per_second;
    if global.json {
        return output::json(&json!({
            "transport": transport,
            "events": args.events,
            "payloadBytes": args.payload,
            "cores": cores,
            "barePerSecond": found.bare.per_second,
            "appendPerSecond": found.append.per_second,
            "relayPerSecond": found.relay.per_second,
            "relayRatio": ratio(&found.relay, &found.append),
            "relayBareRatio": ratio(&found.relay, &found.bare),
            "floorPerSecond": found.floor.per_second,
            "consumerPerSecond": found.drain.per_second,
            "ratio": ratio(&found.drain, &found.floor),
            "rate": args.rate,
            "p50Ms": found.latency.p50_ms,
            "p99Ms": found.latency.p99_ms,
            "peakBytes": found.drain.peak_bytes,
            "idleShards": idle::SHARDS,
            "idleConsumerPercent": found.idle_consumer.idle_percent,
            "idleConsumerBytes": found.idle_consumer.idle_bytes,
            "idleRelayPercent": found.idle_relay.idle_percent,
            "idleRelayBytes": found.idle_relay.idle_bytes,
        }));
    }
    let rate = |of: &Measured| format!("{:>9.0} events/s", of.per_second);
    let idle = |of: &Measured| {
        let (percent, memory) = (of.idle_percent, mebibytes(of.idle_bytes));
        format!("{percent:>9.2} % of a core, {memory:.1} MiB")
    };
    let (events, payload) = (args.events, args.payload);
    for line in [
        format!(
            "{events} events of {payload} bytes, {transport}, {cores} cores, medians of {ROUNDS}\n"
        ),
        format!(
            "bare       {}   pipelines of plain XADD, one connection",
            rate(&found.bare)
        ),
        format!(
            "append     {}   compare-and-append from memory, as a relay's",
            rate(&found.append)
        ),
        format!(
            "relay      {}   outbox (SQLite, synchronous=FULL) → number → append",
            rate(&found.relay)
        ),
        format!(
            "ratio      {:>9.2} of append, {:.2} of bare",
            ratio(&found.relay, &found.append),
            ratio(&found.relay, &found.bare)
        ),
        format!(
            "\nfloor      {}   bare prepared statements, one thread, 1,000 events a commit",
            rate(&found.floor)
        ),
        format!(
            "consumer   {}   read → decode → map → apply, with inbox and checkpoint",
            rate(&found.drain)
        ),
        format!("ratio      {:>9.2}", ratio(&found.drain, &found.floor)),
        format!(
            "latency    {:>9.1} ms p50, {:.1} ms p99, from publish to commit at {} events/s",
            found.latency.p50_ms, found.latency.p99_ms, args.rate
        ),
        format!(
            "memory     {:>9.1} MiB at the peak of the consumer's process",
            mebibytes(found.drain.peak_bytes)
        ),
        format!("\nidle, {} shards followed", idle::SHARDS),
        format!("consumer   {}", idle(&found.idle_consumer)),
        format!("relay      {}", idle(&found.idle_relay)),
    ] {
        output::line(line)?;
    }
    Ok(())
}
