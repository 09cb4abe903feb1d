use std::fmt;
use std::sync::Arc;

use millstream_core::error::Error;

use super::options::Options;
use super::pace::Paces;
use super::probe::probe;
use super::router::Router;

/// A handle on Redis or Valkey. Clones share its connections.
#[derive(Clone)]
pub struct Transport {
    pub(super) router: Arc<Router>,
    pub(super) paces: Arc<Paces>,
    pub(super) location: Arc<str>,
}

impl Transport {
    /// Connects, and makes sure that the server can do what is needed.
    ///
    /// Afterwards connections are made anew whenever that is necessary, and the master or node of a
    /// key is looked up again.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](millstream_core::error::ErrorKind::Unavailable) when no server answers now,
    /// [`Misconfigured`](millstream_core::error::ErrorKind::Misconfigured) when it is too old or does
    /// not let us in, with the cause and a next step in one line.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let location: Arc<str> = options.to_string().into();
        let failed = |fault: super::error::Fault| fault.into_error(&location);
        let router = Router::new(&options).map_err(failed)?;
        probe(&router).await.map_err(failed)?;
        Ok(Self {
            router: Arc::new(router),
            paces: Arc::default(),
            location,
        })
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis::Transport({})", self.location)
    }
}
