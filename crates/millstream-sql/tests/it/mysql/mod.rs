//! Databases on a MariaDB, or on the MySQL that `MILLSTREAM_TEST_MYSQL_URL` names.

mod captured;
mod collations;
mod commits;
mod crossed;
mod cut;
mod flushing;
mod full;
mod handlers;
mod locks;
mod migrated;
mod mortal;
mod numbering;
mod outage;
mod plain;
mod publishing;
mod silence;
mod site;
mod unique;
mod values;

use site::Site as Database;

mod capture {
    millstream_testkit::capture_suite!(crate::mysql::Database);
}

mod injection {
    millstream_testkit::injection_suite!(crate::mysql::Database);
}

mod leases {
    millstream_testkit::leases_suite!(crate::mysql::Database);
}

mod outbox {
    millstream_testkit::outbox_suite!(crate::mysql::Database);
}

mod store {
    millstream_testkit::store_suite!(crate::mysql::Database);
}

use millstream_core::change::Op;
use millstream_core::mapping::Spec;
use millstream_core::outbox::NewEvent;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

/// A table `things` of the application, and the consumer that fills it: `thing.set` upserts what it
/// names of columns `a` and `b`, `thing.left` deletes.
async fn things(tables: &str) -> (Database, Source, Consumer<millstream_sql::mysql::Database>) {
    let site = Database::make("").await;
    site.execute(tables).await.unwrap();
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    let data = ["a = data.a", "b = data.b"];
    vec![
        spec("thing.set", Op::Upsert, "things", &id, &data),
        spec("thing.left", Op::Delete, "things", &id, &[]),
    ]
}

fn set(id: &str, data: &str) -> NewEvent {
    event("thing.set", "acme", id, data)
}
