use std::fs;
use std::os::unix::fs::{chown, lchown};
use std::path::Path;

use anyhow::Result;

/// Linux's own number for nobody in particular.
const NOBODY: u32 = 65_534;

/// An ordinary user of the system, for servers that refuse to run as root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

impl Account {
    /// One that this process may become; none where it is an ordinary user itself.
    pub(crate) fn ordinary() -> Option<Self> {
        rustix::process::geteuid().is_root().then_some(Self {
            user: NOBODY,
            group: NOBODY,
        })
    }

    /// Makes a folder and everything in it its own.
    pub(crate) fn own(self, folder: &Path) -> Result<()> {
        chown(folder, Some(self.user), Some(self.group))?;
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.own(&entry.path())?;
            } else {
                lchown(entry.path(), Some(self.user), Some(self.group))?;
            }
        }
        Ok(())
    }
}
