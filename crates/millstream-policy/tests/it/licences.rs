//! What may come from elsewhere, by the lists in deny.toml.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use spdx::{Expression, Licensee, ParseMode};
use toml::{Table, Value};

use crate::repository::{metadata, none, root};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn licences_are_on_the_list() -> Result<()> {
    let allowed = allowed()?;
    let mut problems = Vec::new();
    for package in metadata()?.packages {
        let licence = package.license.as_deref().unwrap_or("");
        if !permits(licence, &allowed) {
            problems.push(format!("{} {}: {licence:?}", package.name, package.version));
        }
    }
    none(
        &problems,
        "These packages may be used under no licence of `licenses.allow` in deny.toml. Do without \
         them, or add the licence in a commit that says why:",
    )
}

#[test]
fn licence_expressions_are_evaluated() -> Result<()> {
    let allowed = allowed()?;
    for licence in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
    ] {
        ensure!(permits(licence, &allowed), "{licence} is fine");
    }
    for licence in [
        "",
        "GPL-3.0-only",
        "MIT AND GPL-3.0-only",
        "MIT AND",
        "(MIT OR ISC) AND MPL-2.0",
    ] {
        ensure!(!permits(licence, &allowed), "{licence:?} is not fine");
    }
    Ok(())
}

/// The lock file knows every platform, but also packages that no feature switches on: whether
/// those are built, cargo says for this machine, and `cargo deny` for the others.
#[test]
fn banned_packages_stay_out() -> Result<()> {
    let mut versions = HashMap::<String, usize>::new();
    for package in locked()? {
        *versions.entry(text(&package, "name")?).or_default() += 1;
    }
    let built = built()?;
    let mut problems = Vec::new();
    for ban in list(&table("deny.toml")?, "bans", "deny")? {
        let ban = ban.as_table().context("a ban in deny.toml is a table")?;
        let (name, reason) = (text(ban, "crate")?, text(ban, "reason")?);
        let only_one = ban.get("deny-multiple-versions").and_then(Value::as_bool) == Some(true);
        let found = versions.get(&name).copied().unwrap_or(0);
        if found > usize::from(only_one) && built.contains(&name) {
            problems.push(format!("{name}, {found} in Cargo.lock: {reason}"));
        }
    }
    none(
        &problems,
        "Find who brings them in with `cargo tree --target all -i NAME`, and switch it off:",
    )
}

#[test]
fn packages_come_from_crates_io() -> Result<()> {
    let mut problems = Vec::new();
    for package in locked()? {
        match package.get("source").and_then(Value::as_str) {
            None | Some(CRATES_IO) => {}
            Some(source) => problems.push(format!("{}: {source}", text(&package, "name")?)),
        }
    }
    none(
        &problems,
        "Everybody must be able to build this; take these from crates.io:",
    )
}

fn permits(licence: &str, allowed: &[Licensee]) -> bool {
    let mode = ParseMode {
        allow_slash_as_or_operator: true,
        ..ParseMode::STRICT
    };
    Expression::parse_mode(licence, mode).is_ok_and(|expression| {
        expression.evaluate(|required| allowed.iter().any(|licensee| licensee.satisfies(required)))
    })
}

fn allowed() -> Result<Vec<Licensee>> {
    let allowed = list(&table("deny.toml")?, "licenses", "allow")?;
    let parse = |licence: &Value| Ok(Licensee::parse(licence.as_str().context("not a string")?)?);
    allowed.iter().map(parse).collect()
}

/// The names of all packages that are built on this machine, whatever for.
fn built() -> Result<HashSet<String>> {
    let output = Command::new("cargo")
        .args(["tree", "--workspace", "--all-features", "--locked"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .context("cargo tree")?;
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo tree: {failed}");
    let lines = String::from_utf8(output.stdout)?;
    let names: HashSet<_> = lines
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    ensure!(
        names.contains("millstream-policy"),
        "cargo tree says {lines}"
    );
    Ok(names)
}

fn locked() -> Result<Vec<Table>> {
    let packages = table("Cargo.lock")?
        .remove("package")
        .context("no packages in Cargo.lock")?;
    Ok(packages.try_into()?)
}

fn table(path: &str) -> Result<Table> {
    let text = fs::read_to_string(root().join(path)).with_context(|| path.to_owned())?;
    text.parse().with_context(|| path.to_owned())
}

fn list(table: &Table, section: &str, key: &str) -> Result<Vec<Value>> {
    let value = table.get(section).and_then(|section| section.get(key));
    let list = value
        .and_then(Value::as_array)
        .filter(|list| !list.is_empty());
    Ok(list
        .with_context(|| format!("deny.toml has no {section}.{key}"))?
        .clone())
}

fn text(table: &Table, key: &str) -> Result<String> {
    let value = table.get(key).and_then(Value::as_str);
    Ok(value
        .with_context(|| format!("no {key} in {table}"))?
        .to_owned())
}
