use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Where the parts of an append-only file are, below the folder of a server.
const PARTS: &str = "appendonlydir";

/// Cuts the last bytes of the newest incremental part, and says how many there were to cut.
///
/// That is what a power loss leaves: the kernel had not written them yet.
pub(crate) fn cut(folder: &Path, bytes: u64) -> Result<u64> {
    let file = File::options().write(true).open(newest(folder)?)?;
    let length = file.metadata()?.len();
    let cut = bytes.min(length);
    file.set_len(length - cut)?;
    Ok(cut)
}

/// How long the newest incremental part is.
pub(crate) fn length(folder: &Path) -> Result<u64> {
    Ok(fs::metadata(newest(folder)?)?.len())
}

fn newest(folder: &Path) -> Result<PathBuf> {
    let mut parts = Vec::new();
    for part in fs::read_dir(folder.join(PARTS)).context("this server writes no AOF in parts")? {
        let path = part?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // appendonly.aof.7.incr.aof
        let number = name.strip_suffix(".incr.aof");
        let number = number.and_then(|name| name.rsplit_once('.')?.1.parse::<u64>().ok());
        parts.extend(number.map(|number| (number, path.clone())));
    }
    let newest = parts.into_iter().max_by_key(|(number, _)| *number);
    Ok(newest.context("the AOF has no incremental part")?.1)
}
