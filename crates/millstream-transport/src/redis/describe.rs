use millstream_core::error::Error;
use millstream_core::log::Description;
use redis::Value;

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::reply;

pub(super) async fn describe(transport: &Transport, key: Key) -> Result<Description, Error> {
    about(transport, &key)
        .await
        .map_err(transport.cannot("describe", key))
}

pub(super) async fn about(transport: &Transport, key: &Key) -> Result<Description, Fault> {
    let mut command = redis::cmd("XINFO");
    command.arg("STREAM").arg(key.as_str());
    let answer = match transport.router.run(key.as_bytes(), &command).await {
        Err(fault) if fault.class() == Some(Class::NoGroup) => return Ok(Description::default()),
        answer => answer?,
    };
    let mut about = reply::pairs(answer)?;
    let first = match reply::need(&mut about, "first-entry")? {
        Value::Nil => None,
        entry => Some(reply::entry(entry)?.0),
    };
    Ok(Description {
        length: reply::number(reply::need(&mut about, "length")?)?,
        added: reply::number(reply::need(&mut about, "entries-added")?)?,
        first,
        last: reply::id(reply::need(&mut about, "last-generated-id")?)?,
    })
}
