use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::folder::Folder;

const FILE: &str = "clock";

const VARIABLE: &str = "MILLSTREAM_TEST_FAKETIME";

/// Where distributions put the library.
const FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/lib64/faketime",
];

/// The variables that make a process read its clock from the folder. Only the clock on the wall: a
/// step of it is what happens to real servers, and their timers go on.
pub(crate) fn variables(folder: &Folder) -> Result<Vec<(OsString, OsString)>> {
    Ok(vec![
        ("LD_PRELOAD".into(), library()?.into()),
        ("FAKETIME_TIMESTAMP_FILE".into(), folder.join(FILE).into()),
        ("FAKETIME_NO_CACHE".into(), "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".into(), "1".into()),
    ])
}

/// Sets the clock of a process that has [`variables`] to so many seconds from the right time.
pub(crate) fn set(folder: &Path, offset_seconds: i64) -> Result<()> {
    // At once, since a process may read it at any time.
    let new = folder.join("clock.new");
    fs::write(&new, format!("{offset_seconds:+}\n"))?;
    fs::rename(new, folder.join(FILE))?;
    Ok(())
}

/// By how many seconds such a clock is set.
pub(crate) fn offset_seconds(folder: &Path) -> Result<i64> {
    let text = fs::read_to_string(folder.join(FILE)).context("this server has the right time")?;
    Ok(text.trim().parse()?)
}

fn library() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    let mut places = FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join("libfaketimeMT.so.1"));
    places.find(|place| place.is_file()).with_context(|| {
        format!(
            "libfaketime is not installed, and this test needs it. Run ./test tools, which \
             installs it, or name libfaketimeMT.so.1 in {VARIABLE}"
        )
    })
}
