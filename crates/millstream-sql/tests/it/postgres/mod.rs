//! Databases of a PostgreSQL server.

mod handlers;
mod migrated;
mod mortal;
mod order;
mod outage;
mod outcome;
mod site;
mod values;

use site::Site;

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
