//! The page of the configuration knows every key that the file may hold, and no other.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use crate::repository::{File, files, none};

const PAGE: &str = "docs/configuration.md";
const FILE: &str = "crates/millstream/src/config/file.rs";

/// Each part of the file as the code has it, and the heading that its keys stand below.
const PARTS: &[(&str, &str)] = &[
    ("Transport", "[transport]"),
    ("Stream", "[streams.NAME]"),
    ("App", "[apps.NAME]"),
    ("Map", "[[apps.NAME.map]]"),
    ("Source", "[[apps.NAME.source]]"),
];

/// What the file consists of: each is a part.
const WHOLE: (&str, &[&str]) = ("File", &["apps", "streams", "transport"]);

/// Sections of the page beside those of their own.
const SECTIONS: &[&str] = &["map", "source"];

#[test]
fn every_key_is_in_the_page() -> Result<()> {
    let files = files()?;
    let text = |path: &str| -> Result<&str> {
        let file = files.iter().find(|file: &&File| file.path == path);
        Ok(&file.with_context(|| path.to_owned())?.text)
    };
    let (page, code) = (text(PAGE)?, text(FILE)?);

    let mut problems = Vec::new();
    let (whole, parts) = WHOLE;
    if fields(code, whole)? != BTreeSet::from_iter(parts.iter().copied()) {
        problems.push(format!("{whole} has other parts than this test knows"));
    }
    for (name, heading) in PARTS {
        let mut known = fields(code, name)?;
        known.retain(|key| !SECTIONS.contains(key));
        let told = keys(page, heading)?;
        let missing = known.difference(&told);
        problems.extend(missing.map(|key| format!("{heading}: {key} is missing")));
        let gone = told.difference(&known);
        problems.extend(gone.map(|key| format!("{heading}: there is no {key}")));
    }
    none(
        &problems,
        &format!("Make {PAGE} say what the file may hold:"),
    )
}

/// The fields of a struct: what serde takes for keys.
fn fields<'a>(code: &'a str, name: &str) -> Result<BTreeSet<&'a str>> {
    let begin = format!("struct {name} {{\n");
    let (_, body) = code.split_once(&begin).with_context(|| begin.clone())?;
    let (body, _) = body.split_once("\n}").with_context(|| begin.clone())?;
    let lines = body
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub(super) "));
    Ok(lines
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect())
}

/// The first cells of the tables below a heading, as far as they are code.
fn keys<'a>(page: &'a str, heading: &str) -> Result<BTreeSet<&'a str>> {
    let begin = format!("\n## `{heading}`\n");
    let (_, section) = page.split_once(&begin).with_context(|| begin.clone())?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let is_key = |cell: &&str| cell.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    Ok(section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(cell, _)| cell)
        .filter(is_key)
        .collect())
}
