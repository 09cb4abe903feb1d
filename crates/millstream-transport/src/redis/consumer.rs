use std::time::Duration;

use redis::Value;

use millstream_core::error::Error;
use millstream_core::limits::NAME_BYTES_MAX;
use millstream_core::name::{AppName, InstanceId, StreamName};
use millstream_core::queue::{Consumer, Member};

use super::connect::Transport;
use super::error::{Class, Fault};
use super::key::Key;
use super::reply;
use super::script::Script;

static FORGET: Script = Script::new(include_str!("scripts/forget_consumer.lua"));

pub(super) async fn consumers(
    transport: &Transport,
    stream: &StreamName,
    group: &AppName,
) -> Result<Vec<Consumer>, Error> {
    let key = Key::shared(stream);
    find(transport, &key, group)
        .await
        .map_err(transport.cannot("read the consumers of", key))
}

async fn find(transport: &Transport, key: &Key, group: &AppName) -> Result<Vec<Consumer>, Fault> {
    let mut command = redis::cmd("XINFO");
    command
        .arg("CONSUMERS")
        .arg(key.as_str())
        .arg(group.as_str());
    let answer = match transport.router.run(key.as_bytes(), &command).await {
        Err(fault) if fault.class() == Some(Class::NoGroup) => return Ok(Vec::new()),
        answer => reply::array(answer?)?,
    };
    let mut consumers = Vec::new();
    for item in answer {
        let mut info = reply::pairs(item)?;
        consumers.push(Consumer {
            name: name(reply::need(&mut info, "name")?)?,
            pending: reply::number(reply::need(&mut info, "pending")?)?,
            idle: Duration::from_millis(reply::number(reply::need(&mut info, "idle")?)?),
        });
    }
    consumers.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(consumers)
}

/// The name of a consumer. Other tools may have given one that no instance can have: it is shown with
/// a `_` for each character that does not fit.
pub(super) fn name(value: Value) -> Result<InstanceId, Fault> {
    let bytes = reply::bytes(value)?;
    let text = String::from_utf8_lossy(&bytes);
    if let Ok(name) = InstanceId::new(&text) {
        return Ok(name);
    }
    let fitting = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':') => c,
        _ => '_',
    };
    let shown: String = text.chars().take(NAME_BYTES_MAX).map(fitting).collect();
    InstanceId::new(if shown.is_empty() { "_" } else { &shown }).map_err(Fault::shape)
}

pub(super) async fn forget(
    transport: &Transport,
    stream: &StreamName,
    member: &Member,
) -> Result<bool, Error> {
    let key = Key::shared(stream);
    let answer = FORGET
        .run(&transport.router, key.as_str(), |command| {
            command
                .arg(member.group.as_str())
                .arg(member.consumer.as_str());
        })
        .await;
    match answer {
        Err(fault) if fault.class() == Some(Class::NoGroup) => Ok(false),
        answer => answer
            .and_then(reply::number)
            .map(|removed| removed > 0)
            .map_err(transport.cannot("forget a consumer of", key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_can_be_shown() {
        for (found, shown) in [("hr-1", "hr-1"), ("worker one", "worker_one"), ("", "_")] {
            let value = Value::BulkString(found.into());
            assert_eq!(name(value).unwrap().as_str(), shown);
        }
        let long = Value::BulkString(vec![0xff; 1_000]);
        assert_eq!(name(long).unwrap().as_str(), "_".repeat(NAME_BYTES_MAX));
    }
}
