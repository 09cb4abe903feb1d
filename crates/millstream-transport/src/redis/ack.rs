use millstream_core::entry::EntryId;
use millstream_core::error::Error;
use millstream_core::name::{AppName, StreamName};

use super::connect::Transport;
use super::key::Key;
use super::reply;

/// Ids in one command.
const ACK_MAX: usize = 1_000;

pub(super) async fn ack(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
    entries: &[EntryId],
) -> Result<u64, Error> {
    let key = Key::shared(stream);
    let mut acked = 0;
    for ids in entries.chunks(ACK_MAX) {
        let mut command = redis::cmd("XACK");
        command.arg(key.as_str()).arg(group.as_str());
        for id in ids {
            command.arg(id.to_string());
        }
        let answer = transport.router.run(key.as_bytes(), &command).await;
        acked += answer
            .and_then(reply::number)
            .map_err(transport.cannot("ack entries of", &key))?;
    }
    Ok(acked)
}
