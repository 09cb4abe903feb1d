//! Databases of several kinds.

use async_trait::async_trait;
use millstream::core::error::ErrorKind;
use millstream::{App, Event, postgres};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct Counting;

#[async_trait]
impl postgres::Handler for Counting {
    async fn handle(
        &self,
        _: &Event,
        _: &postgres::tokio_postgres::Transaction<'_>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Its events would pass as if nobody wanted them.
#[tokio::test]
async fn a_handler_for_another_kind_of_database_is_refused() {
    let transport = millstream::connect("sqlite::memory:").await.unwrap();
    let hr = App::new("hr", "sqlite::memory:").unwrap();
    hr.consumer(&transport).unwrap();
    let hr = hr.on_postgres("credit.allocated", Counting);
    let error = hr.consumer(&transport).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert_eq!(
        error.to_string(),
        "the handler of credit.allocated is for PostgreSQL, and the database is SQLite"
    );
    // With one for each kind, it runs wherever it is installed.
    let both = hr.on(
        "credit.allocated",
        |_: &Event, _: &millstream::rusqlite::Transaction<'_>| Ok(()),
    );
    both.consumer(&transport).unwrap();
}
