use std::time::Duration;

use redis::Cmd;
use tokio::time::Instant;

use millstream_core::entry::{Entry, EntryId};
use millstream_core::error::Error;
use millstream_core::log::ReadLimit;

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::page::Page;
use super::reply;

/// How long one command waits at the server. Redis 7.0 does not wake readers of a key that was deleted
/// and made again below where they read; looking again does.
pub(super) const BLOCK_MAX: Duration = Duration::from_secs(5);

/// How often in a row one read may hear that it was woken for nothing.
const WOKEN_MAX: usize = 5;

/// Reads entries above `after`, and waits for the first.
pub(super) async fn read(
    transport: &Transport,
    key: Key,
    after: EntryId,
    limit: ReadLimit,
    wait: Duration,
) -> Result<Vec<Entry>, Error> {
    read_within(transport, &key, after, limit, wait)
        .await
        .map_err(transport.cannot("read", key))
}

/// Reads what is there.
pub(super) async fn range(
    transport: &Transport,
    key: Key,
    after: EntryId,
    limit: ReadLimit,
) -> Result<Vec<Entry>, Error> {
    read(transport, key, after, limit, Duration::ZERO).await
}

async fn read_within(
    transport: &Transport,
    key: &Key,
    after: EntryId,
    limit: ReadLimit,
    wait: Duration,
) -> Result<Vec<Entry>, Fault> {
    // By our own clock: the server may come back early, and late.
    let deadline = Instant::now() + wait;
    let mut page = Page::new(limit);
    let mut woken = 0;
    while !page.is_full() {
        let from = page.entries.last().map_or(after, |entry| entry.id);
        let block = match page.entries.is_empty() {
            true => deadline.saturating_duration_since(Instant::now()),
            false => Duration::ZERO,
        };
        let mut pace = transport.paces.of(key);
        let count = pace.count(page.rest());
        match next(transport, key, from, count, block.min(BLOCK_MAX)).await {
            Ok(entries) => {
                pace.saw(&entries);
                transport.paces.remember(key, pace);
                let ended = entries.len() < count;
                let waits = entries.is_empty() && !block.is_zero();
                page.fill(entries);
                if ended && !waits {
                    break;
                }
            }
            Err(fault) if fault.class() == Some(Class::NoGroup) && woken < WOKEN_MAX => woken += 1,
            Err(fault) => {
                if matches!(fault, Fault::Lost(_)) {
                    pace.broke(count);
                    transport.paces.remember(key, pace);
                }
                if page.entries.is_empty() {
                    return Err(fault);
                }
                // What has come is good. The next read tells whether the fault lasts.
                break;
            }
        }
    }
    Ok(page.entries)
}

async fn next(
    transport: &Transport,
    key: &Key,
    after: EntryId,
    count: usize,
    block: Duration,
) -> Result<Vec<Entry>, Fault> {
    let answer = transport
        .router
        .read(key.as_bytes(), block, |waits| {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(count);
            if waits {
                wait_at_the_server(&mut command, block);
            }
            command
                .arg("STREAMS")
                .arg(key.as_str())
                .arg(after.to_string());
            command
        })
        .await?;
    reply::streams(answer)
}

/// Adds how long the server is to wait. Never nothing: to the server that means for ever.
pub(super) fn wait_at_the_server(command: &mut Cmd, block: Duration) {
    if !block.is_zero() {
        let millis = block.as_nanos().div_ceil(1_000_000);
        command.arg("BLOCK").arg(millis.to_string());
    }
}
