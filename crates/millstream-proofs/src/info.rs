//! What servers say about themselves.

use anyhow::Context as _;
use millstream_testkit::server::Server;
use tokio::runtime::Runtime;

/// Commands that were refused because memory was full.
pub(crate) fn refused(runtime: &Runtime, server: &Server) -> anyhow::Result<u64> {
    let about: String = runtime.block_on(server.query(&["INFO", "errorstats"]))?;
    Ok(number(&about, "errorstat_OOM:count=").unwrap_or(0))
}

/// Bytes that it uses.
pub(crate) fn memory(runtime: &Runtime, server: &Server) -> anyhow::Result<u64> {
    let about: String = runtime.block_on(server.query(&["INFO", "memory"]))?;
    number(&about, "used_memory:").context("it does not say how much memory it uses")
}

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().parse().ok()
}
