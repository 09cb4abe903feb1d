use anyhow::Result;

use crate::server::builder::Builder;
use crate::server::flavour::Flavour;
use crate::server::port::Port;
use crate::server::standalone::Server;

const MASTERS: usize = 3;

const SLOTS: usize = 16_384;

/// How long a node may be silent before the others replace it.
const NODE_TIMEOUT_MILLIS: &str = "1000";

const CONFIG: &str = "nodes.conf";

struct Place {
    port: Port,
    bus: Port,
}

/// Starts masters, then their replicas. Each knows all from the start, as after a restart: nobody
/// has to be introduced.
pub(super) async fn nodes(flavour: Flavour) -> Result<Vec<Server>> {
    let mut places = Vec::new();
    for _ in 0..2 * MASTERS {
        let (port, bus) = (Port::reserve()?, Port::reserve()?);
        places.push(Place { port, bus });
    }
    let configs: Vec<_> = (0..places.len())
        .map(|index| config(index, &places))
        .collect();
    let mut nodes = Vec::new();
    for (Place { port, bus }, config) in places.into_iter().zip(configs) {
        let node = Builder::new(flavour)
            .file(CONFIG, config)
            .setting("cluster-enabled", &["yes"])
            .setting("cluster-config-file", &[CONFIG])
            .setting("cluster-node-timeout", &[NODE_TIMEOUT_MILLIS])
            .setting("cluster-port", &[&bus.number().to_string()])
            .setting("repl-diskless-sync-delay", &["0"])
            .prepare(port)?;
        node.start_unready()?;
        nodes.push(node.holding(bus));
    }
    for node in &nodes {
        node.ready().await?;
    }
    Ok(nodes)
}

/// What the node at `index` has written down about all nodes, itself marked.
fn config(index: usize, places: &[Place]) -> String {
    let line = |(other, place): (usize, &Place)| {
        let myself = if other == index { "myself," } else { "" };
        let (port, bus) = (place.port.number(), place.bus.number());
        let epoch = other % MASTERS + 1;
        let role = if other < MASTERS {
            let slots = other * SLOTS / MASTERS..(other + 1) * SLOTS / MASTERS;
            let (first, last) = (slots.start, slots.end - 1);
            format!("master - 0 0 {epoch} connected {first}-{last}")
        } else {
            format!("slave {} 0 0 {epoch} connected", id(other - MASTERS))
        };
        format!("{} 127.0.0.1:{port}@{bus} {myself}{role}\n", id(other))
    };
    let lines: String = places.iter().enumerate().map(line).collect();
    format!("{lines}vars currentEpoch {MASTERS} lastVoteEpoch 0\n")
}

fn id(index: usize) -> String {
    format!("{:040x}", index + 1)
}
