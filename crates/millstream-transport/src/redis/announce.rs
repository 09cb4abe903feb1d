use tracing::warn;

use millstream_core::descriptor::Descriptor;
use millstream_core::error::Error;
use millstream_core::name::StreamName;

use super::connect::Transport;
use super::error::Fault;
use super::key::PUBLISHERS;
use super::reply;
use super::script::Script;

static ANNOUNCE: Script = Script::new(include_str!("scripts/announce.lua"));

pub(super) async fn announce(transport: &Transport, descriptor: &Descriptor) -> Result<(), Error> {
    let json = descriptor.to_json();
    let answer = ANNOUNCE
        .run(&transport.router, PUBLISHERS, |command| {
            command.arg(field(descriptor)).arg(&json);
        })
        .await;
    let stream = &descriptor.stream;
    answer
        .map(drop)
        .map_err(transport.cannot("announce a publisher of", stream))
}

/// The name of a descriptor. A space is in no other name.
pub(super) fn field(descriptor: &Descriptor) -> String {
    format!("{} {}", descriptor.stream, descriptor.owner)
}

pub(super) async fn publishers(
    transport: &Transport,
    stream: Option<&StreamName>,
) -> Result<Vec<Descriptor>, Error> {
    find(transport, stream)
        .await
        .map_err(transport.cannot("read", "the publishers"))
}

async fn find(
    transport: &Transport,
    stream: Option<&StreamName>,
) -> Result<Vec<Descriptor>, Fault> {
    let mut command = redis::cmd("HGETALL");
    command.arg(PUBLISHERS);
    let answer = transport
        .router
        .run(PUBLISHERS.as_bytes(), &command)
        .await?;
    let mut publishers = Vec::new();
    for (field, json) in reply::pairs(answer)? {
        let field = String::from_utf8_lossy(&reply::bytes(field)?).into_owned();
        let of = field.split(' ').next();
        if stream.is_some_and(|stream| of != Some(stream.as_str())) {
            continue;
        }
        // Anybody can write there, newer versions of us too.
        match Descriptor::from_json(&reply::bytes(json)?) {
            Ok(descriptor) => publishers.push(descriptor),
            Err(error) => warn!(%field, %error, "a publisher's descriptor cannot be read"),
        }
    }
    Ok(publishers)
}
