use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

/// Set to anything, it keeps the folders of servers after their tests.
const KEEP: &str = "MILLSTREAM_TEST_KEEP";

/// The folder of a server, removed when it is dropped; kept while a test fails.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        // Short: the path of a unix socket has at most 108 bytes.
        Ok(Self(tempfile::Builder::new().prefix("ms-").tempdir()?))
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
