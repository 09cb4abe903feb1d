use millstream_core::entry::{EntryId, Fields};
use millstream_core::error::{Error, ErrorKind};
use millstream_core::name::StreamName;

use super::connect::Transport;
use super::key::Key;
use super::reply;

pub(super) async fn add(
    transport: &Transport,
    stream: &StreamName,
    fields: &Fields,
) -> Result<EntryId, Error> {
    let key = Key::shared(stream);
    if fields.is_empty() {
        let text = format!("an entry for {key} has no fields, Redis takes 1 or more");
        return Err(Error::new(ErrorKind::Invalid, text));
    }
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
