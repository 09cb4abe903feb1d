//! What each package says of itself.

use std::fs;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::repository::{metadata, none};

#[test]
fn packages_describe_themselves() -> Result<()> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages().into_iter();
    let silent =
        packages.filter(|package| package.description.as_deref().is_none_or(str::is_empty));
    let problems: Vec<_> = silent
        .map(|package| package.manifest_path.to_string())
        .collect();
    none(
        &problems,
        "Say in one sentence what the package is for, as `description`:",
    )
}

#[test]
fn packages_inherit_from_the_workspace() -> Result<()> {
    let mut problems = Vec::new();
    for package in metadata()?.workspace_packages() {
        let manifest: Table = fs::read_to_string(&package.manifest_path)?
            .parse()
            .with_context(|| package.manifest_path.clone())?;
        let of_package = manifest.get("package").context("a manifest of a package")?;
        let inherits = |value: Option<&Value>| {
            value
                .and_then(|value| value.get("workspace"))
                .and_then(Value::as_bool)
                == Some(true)
        };
        if !inherits(manifest.get("lints")) {
            problems.push(format!("{}: [lints] workspace = true", package.name));
        }
        for key in ["version", "edition", "rust-version", "license"] {
            if !inherits(of_package.get(key)) {
                problems.push(format!("{}: {key}.workspace = true", package.name));
            }
        }
    }
    none(&problems, "Write into the manifest of each:")
}
