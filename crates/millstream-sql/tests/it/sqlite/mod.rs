//! Databases in SQLite files.

mod affinity;
mod captured;
mod clauses;
mod deferred;
mod effort;
mod foreign;
mod handlers;
mod migrated;
mod mortal;
mod outage;
mod plain;
mod power;
mod publishing;
mod reaching;
mod reading;
mod site;
mod triggers;
mod values;
mod yielding;

use site::File;

mod capture {
    millstream_testkit::capture_suite!(crate::sqlite::File);
}

mod injection {
    millstream_testkit::injection_suite!(crate::sqlite::File);
}

mod leases {
    millstream_testkit::leases_suite!(crate::sqlite::File);
}

mod outbox {
    millstream_testkit::outbox_suite!(crate::sqlite::File);
}

mod store {
    millstream_testkit::store_suite!(crate::sqlite::File);
}

use millstream_core::change::Op;
use millstream_core::mapping::Spec;
use millstream_core::outbox::NewEvent;
use millstream_sql::sqlite::Database;
use millstream_testkit::suite::Site;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

/// A table `things` of the application, and the consumer that fills it: `thing.set` upserts what it
/// names of columns `a` and `b`, `thing.left` deletes.
async fn things(tables: &str) -> (File, Source, Consumer<Database>) {
    let site = File::make("").await;
    site.execute(tables).await.unwrap();
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    vec![
        spec(
            "thing.set",
            Op::Upsert,
            "things",
            &id,
            &["a = data.a", "b = data.b"],
        ),
        spec("thing.left", Op::Delete, "things", &id, &[]),
    ]
}

fn set(id: &str, data: &str) -> NewEvent {
    event("thing.set", "acme", id, data)
}
