use millstream_core::error::Error;
use millstream_core::log::Descriptor;
use millstream_core::name::{AppName, DatabaseId, StreamName};

use super::call::{Fault, call};
use super::connect::Transport;
use super::id::integer;

pub(super) async fn announce(transport: &Transport, descriptor: &Descriptor) -> Result<(), Error> {
    let generation = integer("generation", descriptor.generation)?;
    let object = descriptor.stream.clone();
    let descriptor = descriptor.clone();
    call(
        &transport.durable,
        "announce a publisher of",
        object,
        move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO descriptors VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute((
                    descriptor.stream.as_str(),
                    descriptor.owner.as_str(),
                    descriptor.database.as_str(),
                    descriptor.shards,
                    generation,
                ))?;
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
            "SELECT stream, owner, database_id, shards, generation FROM descriptors
             WHERE ?1 IS NULL OR stream = ?1 ORDER BY stream, owner",
        )?;
        let mut rows = select.query([stream.as_ref().map(StreamName::as_str)])?;
        let mut publishers = Vec::new();
        while let Some(row) = rows.next()? {
            publishers.push(Descriptor {
                stream: StreamName::new(row.get::<_, String>("stream")?)?,
                owner: AppName::new(row.get::<_, String>("owner")?)?,
                database: DatabaseId::new(row.get::<_, String>("database_id")?)?,
                shards: row.get("shards")?,
                generation: row.get::<_, i64>("generation")?.cast_unsigned(),
            });
        }
        Ok::<_, Fault>(publishers)
    })
    .await
}
