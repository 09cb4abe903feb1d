use millstream_core::error::{Error, ErrorKind};
use millstream_engine::Transport;
#[cfg(feature = "redis")]
use millstream_transport::redis;
use millstream_transport::sqlite;

use crate::config;

/// Connects to a transport by its URL: `sqlite:data/events.db`, `redis://localhost` with the feature
/// `redis`, or `sqlite::memory:` for tests.
///
/// # Errors
///
/// [`Misconfigured`](ErrorKind::Misconfigured) when the URL is of no known form, or what it names
/// cannot be used as it is; [`Unavailable`](ErrorKind::Unavailable) when it is away.
pub async fn connect(url: &str) -> Result<Transport, Error> {
    let transport = config::Transport::parse(url)
        .map_err(|reason| Error::new(ErrorKind::Misconfigured, reason.to_string()))?;
    connect_to(&transport).await
}

/// Connects to a transport that was configured.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_to(transport: &config::Transport) -> Result<Transport, Error> {
    let options = match transport {
        config::Transport::Sqlite(path) => sqlite::Options::file(path),
        config::Transport::Memory => sqlite::Options::memory(),
        #[cfg(feature = "redis")]
        config::Transport::Redis(options) => {
            let redis = redis::Transport::connect((**options).clone()).await?;
            return Ok(Transport::new(redis));
        }
    };
    Ok(Transport::new(sqlite::Transport::connect(options).await?))
}
