//! Databases in SQLite files.

mod handlers;
mod mortal;
mod site;

use site::File;

mod leases {
    millstream_testkit::leases_suite!(crate::sqlite::File);
}

mod outbox {
    millstream_testkit::outbox_suite!(crate::sqlite::File);
}
