//! The embedded log.

mod file;
mod process;
mod removed;
mod seen;
mod version_1;

use millstream_testkit::suite::Place;
use millstream_transport::sqlite::{Options, Transport};

/// A file in a folder of its own; each handle has its own connections, as a process would.
struct File(tempfile::TempDir);

impl File {
    fn options(&self) -> Options {
        Options::file(self.path())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("events.db")
    }
}

impl Place for File {
    type Handle = Transport;

    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn connect(&self) -> Transport {
        Transport::connect(self.options()).await.unwrap()
    }
}

/// Memory; handles are clones, since nobody else can get at it.
struct Memory(Transport);

impl Place for Memory {
    type Handle = Transport;

    async fn make() -> Self {
        Self(Transport::connect(Options::memory()).await.unwrap())
    }

    async fn connect(&self) -> Transport {
        self.0.clone()
    }
}

mod on_file {
    mod log {
        millstream_testkit::log_suite!(crate::sqlite::File);
    }
    mod queue {
        millstream_testkit::queue_suite!(crate::sqlite::File);
    }
}

mod in_memory {
    mod log {
        millstream_testkit::log_suite!(crate::sqlite::Memory);
    }
    mod queue {
        millstream_testkit::queue_suite!(crate::sqlite::Memory);
    }
}
