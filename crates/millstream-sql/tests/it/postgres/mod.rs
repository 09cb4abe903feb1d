//! Databases of a PostgreSQL server.

mod bound;
mod captured;
mod crossed;
mod cut;
mod full;
mod given_again;
mod handlers;
mod midway;
mod migrated;
mod mortal;
mod notify;
mod order;
mod outage;
mod outcome;
mod publishing;
mod sessions;
mod silence;
mod site;
mod standing;
mod triggers;
mod values;

use site::Site;

mod capture {
    millstream_testkit::capture_suite!(crate::postgres::Site);
}

mod injection {
    millstream_testkit::injection_suite!(crate::postgres::Site);
}

mod leases {
    millstream_testkit::leases_suite!(crate::postgres::Site);
}

mod outbox {
    millstream_testkit::outbox_suite!(crate::postgres::Site);
}

mod store {
    millstream_testkit::store_suite!(crate::postgres::Site);
}

use millstream_core::change::Op;
use millstream_core::mapping::Spec;
use millstream_core::outbox::NewEvent;
use millstream_sql::postgres::Database;
use millstream_testkit::suite::Site as _;
use millstream_testkit::suite::store::{Consumer, Source, event, spec};

/// A table `things` of the application, and the consumer that fills it: `thing.set` upserts what it
/// names of columns `a` and `b`.
async fn things(tables: &str) -> (Site, Source, Consumer<Database>) {
    let site = Site::make("").await;
    site.execute(tables).await.unwrap();
    let source = Source::shard(0);
    let consumer = Consumer::start(site.connect().await, source.feed(), mappings()).await;
    (site, source, consumer)
}

fn mappings() -> Vec<Spec> {
    let id = ["id = entityId"];
    let data = ["a = data.a", "b = data.b"];
    vec![spec("thing.set", Op::Upsert, "things", &id, &data)]
}

fn set(id: &str, data: &str) -> NewEvent {
    event("thing.set", "acme", id, data)
}
