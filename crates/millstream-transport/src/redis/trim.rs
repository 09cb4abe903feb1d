use redis::Cmd;

use millstream_core::entry::EntryId;
use millstream_core::error::Error;

use super::connect::Transport;
use super::error::Fault;
use super::key::Key;
use super::reply;

/// Entries removed by one command, so that others get in between.
const TRIM_MAX: usize = 10_000;

/// Removes entries below `floor`, in steps.
///
/// Dropped in between, it has removed the oldest of them.
pub(super) async fn trim(transport: &Transport, key: Key, floor: EntryId) -> Result<u64, Error> {
    remove(transport, &key, floor)
        .await
        .map_err(transport.cannot("trim", key))
}

async fn remove(transport: &Transport, key: &Key, floor: EntryId) -> Result<u64, Fault> {
    let mut removed = 0;
    // The server drops whole nodes of its tree only, when it may choose, and the rest of one when not.
    for exactly in [false, true] {
        loop {
            let mut command = redis::cmd("XTRIM");
            command.arg(key.as_str()).arg("MINID");
            below(&mut command, floor, exactly);
            let answer = transport.router.run(key.as_bytes(), &command).await?;
            let step = reply::number(answer)?;
            removed += step;
            if exactly || step == 0 {
                break;
            }
        }
    }
    Ok(removed)
}

fn below(command: &mut Cmd, floor: EntryId, exactly: bool) {
    if exactly {
        command.arg("=").arg(floor.to_string());
    } else {
        command.arg("~").arg(floor.to_string());
        command.arg("LIMIT").arg(TRIM_MAX);
    }
}
