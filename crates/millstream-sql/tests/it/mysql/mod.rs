//! Databases on a MariaDB, or on the MySQL that `MILLSTREAM_TEST_MYSQL_URL` names.

mod handlers;
mod mortal;
mod site;

use site::Site as Database;

mod leases {
    millstream_testkit::leases_suite!(crate::mysql::Database);
}

mod outbox {
    millstream_testkit::outbox_suite!(crate::mysql::Database);
}

mod store {
    millstream_testkit::store_suite!(crate::mysql::Database);
}
