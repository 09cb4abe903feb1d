use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::Error;
use millstream_core::name::StreamName;

use super::append::check_fields;
use super::connect::Transport;
use super::key::Key;
use super::reply;

pub(super) async fn add(
    transport: &Transport,
    stream: &StreamName,
    fields: &Fields,
) -> Result<EntryId, Error> {
    let key = Key::shared(stream);
    check_fields(format_args!("an entry for {key}"), fields)?;
    let mut command = redis::cmd("XADD");
    command.arg(key.as_str()).arg("*");
    for (name, value) in fields.iter() {
        command.arg(&**name).arg(&**value);
    }
    let answer = transport.router.run(key.as_bytes(), &command).await;
    answer
        .and_then(reply::id)
        .map_err(transport.cannot("add to", key))
}
