use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a proof and returns its last line; shows how it went if it fails.
pub(crate) fn prove<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_millstream-proofs"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("it was built with the test");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

/// The history that the team shares beside the workspace, if this machine has it.
pub(crate) fn employees() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("MILLSTREAM_SHARED")
        .map_or_else(|| package.join("../../../shared"), PathBuf::from);
    let events = shared.join("data/employees/events.ndjson.gz");
    events.exists().then_some(events)
}
