//! The repository as the rules see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::{CargoOpt, Metadata, MetadataCommand};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    // Asked when it runs: a target folder may outlive the checkout that it was built from.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    Path::new(&package).join("../..")
}

/// The dependency graph for this machine: whatever is in it is already downloaded.
///
/// Packages for other platforms are left to `cargo deny`, which reads the same lists.
pub(crate) fn metadata() -> Result<Metadata> {
    MetadataCommand::new()
        .current_dir(root())
        .features(CargoOpt::AllFeatures)
        .other_options(["--locked", "--filter-platform", &host()?].map(String::from))
        .exec()
        .context("cargo metadata")
}

/// A file of the repository, by a path from its root with `/` on every platform.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Whether it is the Rust source of a package, its tests left out.
    pub(crate) fn is_source(&self) -> bool {
        self.path.starts_with("crates/")
            && self.path.contains("/src/")
            && self.path.ends_with(".rs")
    }

    /// Its lines with their numbers, without those that are comments from their first character.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// The text files of the repository, those that are not committed yet included.
pub(crate) fn files() -> Result<Vec<File>> {
    let mut ignored = vec![".git".to_owned()];
    let lines = fs::read_to_string(root().join(".gitignore")).context(".gitignore")?;
    ignored.extend(lines.lines().map(|line| line.trim_matches('/').to_owned()));
    let mut found = Vec::new();
    walk("", &ignored, &mut found)?;
    ensure!(
        found.len() > 20,
        "the walk of the repository found {} files only",
        found.len()
    );
    Ok(found)
}

/// Fails with all the problems at once, and with what to do about them.
pub(crate) fn none(problems: &[String], advice: &str) -> Result<()> {
    ensure!(problems.is_empty(), "{advice}\n  {}", problems.join("\n  "));
    Ok(())
}

fn walk(folder: &str, ignored: &[String], found: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(root().join(folder)).with_context(|| folder.to_owned())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name
        } else {
            format!("{folder}/{name}")
        };
        if ignored.contains(&path) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&path, ignored, found)?;
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(File { path, text });
        }
    }
    Ok(())
}

fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("rustc -vV")?;
    let version = String::from_utf8(output.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
