use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;

use anyhow::Result;
use tempfile::TempDir;

/// Set to anything, it keeps the folders of servers after their tests.
const KEEP: &str = "MILLSTREAM_TEST_KEEP";

/// Begins the name of each folder; the id of its process follows. Short: the path of a unix socket has
/// at most 108 bytes.
const PREFIX: &str = "ms-";

/// A file in folders that stay.
const KEPT: &str = "kept";

/// Where Linux keeps files in memory, and how much room there must be.
const MEMORY: &str = "/dev/shm";
const MEMORY_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// The folder of a server, removed when it is dropped; kept while a test fails.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    /// In memory, where there is room for it: for servers that sync whether they are told to or not.
    pub(crate) fn in_memory() -> Result<Self> {
        let has_room = |room: rustix::fs::StatVfs| room.f_bavail * room.f_frsize > MEMORY_BYTES_MIN;
        match rustix::fs::statvfs(MEMORY).is_ok_and(has_room) {
            true => Self::new_in(Path::new(MEMORY)),
            false => Self::new(),
        }
    }

    fn new_in(root: &Path) -> Result<Self> {
        static TIDIED: Once = Once::new();
        TIDIED.call_once(|| {
            for root in [&*std::env::temp_dir(), Path::new(MEMORY)] {
                tidy(root);
            }
        });
        let prefix = format!("{PREFIX}{}-", process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(root)?;
        Ok(Self(folder))
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
            // Without it, it goes with the next run.
            fs::write(self.join(KEPT), "").ok();
        }
    }
}

/// Removes the folders of processes that were killed, or ended with a server in a static variable:
/// those dropped nothing.
fn tidy(root: &Path) {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return;
    }
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    for folder in folders {
        let name = folder.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'))
            .filter(|(process, _)| process.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some((process, _)) = process
            && !processes.join(process).exists()
            && !folder.path().join(KEPT).exists()
        {
            // Another test may be at it too.
            fs::remove_dir_all(folder.path()).ok();
        }
    }
}
