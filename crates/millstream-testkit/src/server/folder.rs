use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// Set to anything, it keeps the folders of servers after their tests.
const KEEP: &str = "MILLSTREAM_TEST_KEEP";

/// Where Linux keeps files in memory, and how much room there must be.
const MEMORY: &str = "/dev/shm";
const MEMORY_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// The folder of a server, removed when it is dropped; kept while a test fails.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        // Short: the path of a unix socket has at most 108 bytes.
        Ok(Self(tempfile::Builder::new().prefix("ms-").tempdir()?))
    }

    /// In memory, where there is room for it: for servers that sync whether they are told to or not.
    pub(crate) fn in_memory() -> Result<Self> {
        let has_room = |room: rustix::fs::StatVfs| room.f_bavail * room.f_frsize > MEMORY_BYTES_MIN;
        match rustix::fs::statvfs(MEMORY).is_ok_and(has_room) {
            true => Ok(Self(
                tempfile::Builder::new().prefix("ms-").tempdir_in(MEMORY)?,
            )),
            false => Self::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os(KEEP).is_some() {
            self.0.disable_cleanup(true);
        }
    }
}
