use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::account::Account;
use super::folder::Folder;

/// a disk of some megabytes, mounted into a folder of its own; gone when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: Folder,
}

impl SmallDisk {
    /// Mounts one that servers of tests may use; none where this process may not mount.
    ///
    /// # Errors
    ///
    /// If it was mounted and cannot be used.
    pub fn mount(mebibytes: u32) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let disk = Self {
            folder: Folder::new()?,
        };
        let size = format!("size={mebibytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "small"]);
        // A container may forbid it to root as well.
        if !succeeds(mount.arg(disk.path())) {
            return Ok(None);
        }
        fs::set_permissions(disk.path(), fs::Permissions::from_mode(0o755))?;
        if let Some(account) = Account::ordinary() {
            account.own(disk.path())?;
        }
        Ok(Some(disk))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no room on it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.folder.join("ballast"))?;
        let block = [1; 4096];
        loop {
            match ballast.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("the disk cannot be filled"),
            }
        }
    }

    /// Makes room again.
    ///
    /// # Errors
    ///
    /// If it was not filled.
    pub fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.folder.join("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A server may still have files open on it.
        succeeds(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

fn succeeds(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
