use millstream_core::error::{Error, ErrorKind};
use millstream_engine::Transport;
use millstream_transport::sqlite;

use crate::config::Location;

/// Connects to a transport by its URL: `sqlite:data/events.db`, or `sqlite::memory:` for tests.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) when the URL is of no known form,
/// [`Unavailable`](ErrorKind::Unavailable) when the transport is away.
pub async fn connect(url: &str) -> Result<Transport, Error> {
    let location = Location::parse(url)
        .map_err(|reason| Error::new(ErrorKind::Misconfigured, reason.to_string()))?;
    connect_to(&location).await
}

/// Connects to a transport that was configured.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_to(location: &Location) -> Result<Transport, Error> {
    let options = match location {
        Location::Sqlite(path) => sqlite::Options::file(path),
        Location::Memory => sqlite::Options::memory(),
    };
    Ok(Transport::new(sqlite::Transport::connect(options).await?))
}
