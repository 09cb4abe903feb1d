use std::sync::Arc;

use millstream_core::log::Log;
use millstream_core::queue::Queue;

/// Where events travel: owned streams and shared streams, by one backend or two.
#[derive(Debug, Clone)]
pub struct Transport {
    /// Owned streams.
    pub log: Arc<dyn Log>,
    /// Shared streams.
    pub queue: Arc<dyn Queue>,
}

impl Transport {
    /// One backend for both.
    pub fn new<T: Log + Queue + 'static>(backend: T) -> Self {
        let backend = Arc::new(backend);
        Self {
            log: backend.clone(),
            queue: backend,
        }
    }
}
