use millstream_core::error::ErrorKind;
use millstream_core::lease::Leases;

use crate::sample::app;
use crate::suite::Site;

/// Its id is the same for each process, and another for each database.
pub async fn a_database_has_an_identity<S: Site>() {
    let (site, other) = (S::make("").await, S::make("").await);
    let identity = site.connect().await.identity().await.unwrap();
    assert_eq!(identity.application, app("hr"));
    assert_eq!(site.connect().await.identity().await.unwrap(), identity);
    let other = other.connect().await.identity().await.unwrap();
    assert_ne!(other.database, identity.database);
}

/// Both names are said.
pub async fn another_application_is_refused<S: Site>() {
    let site = S::make("").await;
    let error = site
        .connect_as(&app("billing"))
        .await
        .identity()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    let text = error.to_string();
    assert!(
        text.contains("application hr") && text.contains("billing"),
        "{text}"
    );
}

/// The error says what to do.
pub async fn missing_tables_are_misconfigured<S: Site>() {
    let site = S::bare().await;
    let error = site.connect().await.identity().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.to_string().contains("millstream migrate"), "{error}");
}
