use millstream_core::descriptor::Descriptor;
use millstream_core::error::Error;
use millstream_core::name::StreamName;

use super::call::{Fault, call};
use super::connect::Transport;

pub(super) async fn announce(transport: &Transport, descriptor: &Descriptor) -> Result<(), Error> {
    let (stream, owner) = (descriptor.stream.clone(), descriptor.owner.clone());
    let json = descriptor.to_json();
    call(
        &transport.durable,
        "announce a publisher of",
        &descriptor.stream,
        move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO descriptors VALUES (?1, ?2, ?3)")?
                .execute((stream.as_str(), owner.as_str(), json))?;
            Ok(())
        },
    )
    .await
}

pub(super) async fn publishers(
    transport: &Transport,
    stream: Option<&StreamName>,
) -> Result<Vec<Descriptor>, Error> {
    let stream = stream.cloned();
    call(&transport.reading, "read", "the publishers", move |db| {
        let mut select = db.prepare_cached(
            "SELECT descriptor FROM descriptors
             WHERE ?1 IS NULL OR stream = ?1 ORDER BY stream, owner",
        )?;
        let mut rows = select.query([stream.as_ref().map(StreamName::as_str)])?;
        let mut publishers = Vec::new();
        while let Some(row) = rows.next()? {
            let json = row.get_ref("descriptor")?.as_str().unwrap_or_default();
            publishers.push(Descriptor::from_json(json.as_bytes()).map_err(Fault::corrupt)?);
        }
        Ok(publishers)
    })
    .await
}
