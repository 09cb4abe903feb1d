use anyhow::Result;

use super::MASTER_NAME;
use crate::server::builder::Builder;
use crate::server::flavour::Flavour;
use crate::server::port::Port;
use crate::server::standalone::Server;

pub(super) const SENTINELS: usize = 3;

/// How many of them must agree that the master is gone.
const QUORUM: usize = 2;

/// Longer than two pings apart: the time runs from when a Sentinel first hears of a node.
const DOWN_AFTER_MILLIS: u64 = 1_000;

/// So long Sentinels leave a replica alone that follows another address than the master's: the one
/// of a proxy. It does not delay a fail-over.
const FAILOVER_TIMEOUT_MILLIS: u64 = 120_000;

/// How often a Sentinel does what it does all the time, in milliseconds. Five pings must not be
/// faster than a second: so old may be what it knows of a replica that it promotes.
const PERIODS: [(&str, u64); 4] = [
    ("ping-period", 400),
    ("info-period", 400),
    ("publish-period", 200),
    ("ask-period", 200),
];

/// Starts the Sentinels of these nodes, the first of which is the master.
pub(super) async fn sentinels(flavour: Flavour, nodes: &[Server]) -> Result<Vec<Server>> {
    let mut ports = Vec::new();
    for _ in 0..SENTINELS {
        ports.push(Port::reserve()?);
    }
    let numbers: Vec<_> = ports.iter().map(Port::number).collect();
    let mut sentinels = Vec::new();
    for (index, port) in ports.into_iter().enumerate() {
        let config = config(index, &numbers, nodes);
        let sentinel = Builder::new(flavour).sentinel(config).prepare(port)?;
        sentinel.start().await?;
        for (name, millis) in PERIODS {
            let debug = ["SENTINEL", "DEBUG", name, &millis.to_string()];
            sentinel.command(&debug).await?;
        }
        sentinels.push(sentinel);
    }
    Ok(sentinels)
}

/// Says everything that a Sentinel would find out within seconds.
fn config(index: usize, ports: &[u16], nodes: &[Server]) -> String {
    let port = |node: &Server| node.address().port();
    let mut lines = vec![
        format!("myid {}", id(index)),
        format!(
            "monitor {MASTER_NAME} 127.0.0.1 {} {QUORUM}",
            port(&nodes[0])
        ),
        format!("down-after-milliseconds {MASTER_NAME} {DOWN_AFTER_MILLIS}"),
        format!("failover-timeout {MASTER_NAME} {FAILOVER_TIMEOUT_MILLIS}"),
        format!("parallel-syncs {MASTER_NAME} {}", nodes.len()),
    ];
    for replica in &nodes[1..] {
        lines.push(format!(
            "known-replica {MASTER_NAME} 127.0.0.1 {}",
            port(replica)
        ));
    }
    for (other, port) in ports
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
    {
        lines.push(format!(
            "known-sentinel {MASTER_NAME} 127.0.0.1 {port} {}",
            id(other)
        ));
    }
    lines
        .iter()
        .map(|line| format!("sentinel {line}\n"))
        .collect()
}

fn id(index: usize) -> String {
    format!("{:040x}", index + 1)
}
