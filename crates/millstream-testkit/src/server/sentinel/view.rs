use std::collections::HashMap;

use anyhow::Result;

use super::MASTER_NAME;
use super::start::SENTINELS;
use crate::server::standalone::Server;

/// What one Sentinel says.
type About = HashMap<String, String>;

/// What one Sentinel thinks of master and replicas, when it sees nothing to do.
#[derive(Debug)]
pub(super) struct View {
    /// The port of the master.
    pub(super) master: u16,
    /// The ports of the replicas that follow it.
    pub(super) replicas: Vec<u16>,
}

/// What this Sentinel thinks, if it knows the others, and neither is the master away for it nor a
/// fail-over under way.
pub(super) async fn view(sentinel: &Server) -> Result<Option<View>> {
    let master: About = sentinel.query(&["SENTINEL", "MASTER", MASTER_NAME]).await?;
    let others = (SENTINELS - 1).to_string();
    if !says(&master, "flags", "master") || !says(&master, "num-other-sentinels", &others) {
        return Ok(None);
    }
    let replicas: Vec<About> = sentinel
        .query(&["SENTINEL", "REPLICAS", MASTER_NAME])
        .await?;
    let follow = replicas.iter().filter(|replica| {
        says(replica, "flags", "slave") && says(replica, "master-link-status", "ok")
    });
    Ok(Some(View {
        master: port(&master)?,
        replicas: follow.map(port).collect::<Result<_>>()?,
    }))
}

fn says(about: &About, name: &str, value: &str) -> bool {
    about.get(name).is_some_and(|said| said == value)
}

fn port(about: &About) -> Result<u16> {
    Ok(about.get("port").map_or("", String::as_str).parse()?)
}
