//! What the files look like, where no compiler and no lint looks.

use anyhow::Result;

use crate::repository::{files, none, root};

const FILE_LINES_MAX: usize = 500;
const ARCHITECTURE_LINES_MAX: usize = 250;

/// Lines of function bodies in one `mod.rs` or `lib.rs`: a dispatch, a constructor.
const MODULE_BODY_LINES_MAX: usize = 12;

/// Each as it begins a statement, in the way that we write statements.
const SQL: &[&str] = &[
    "ALTER TABLE ",
    "BEGIN IMMEDIATE",
    "CREATE INDEX ",
    "CREATE TABLE ",
    "CREATE TRIGGER ",
    "CREATE UNIQUE INDEX ",
    "CREATE VIEW ",
    "DELETE FROM ",
    "DROP TABLE ",
    "INSERT INTO ",
    "INSERT OR ",
    "ON CONFLICT ",
    "PRAGMA ",
    "SELECT ",
    "UPDATE ",
];

/// Where statements may stand.
const SQL_PLACES: &[&str] = &[
    "crates/millstream-sql/",
    "crates/millstream-sqlite/",
    "crates/millstream-transport/src/sqlite/",
    "crates/millstream-transport/tests/it/sqlite/",
    // The suites play the application.
    "crates/millstream-testkit/src/suite/",
    // A server is asked about itself.
    "crates/millstream-testkit/src/server/pair.rs",
    // The proofs ask the databases themselves, past the code that they judge.
    "crates/millstream-proofs/",
    "crates/millstream-cli/tests/",
    "crates/millstream/tests/",
    // These play an application, whose own tables are its own affair.
    "crates/millstream-cli/src/commands/bench/",
    "crates/millstream-cli/src/commands/demo/",
    "crates/millstream/examples/",
    // Advice to people: a statement to be run by hand.
    "crates/millstream-cli/src/commands/init.rs",
    "crates/millstream-core/src/mapping/compile/columns.rs",
    "crates/millstream-core/src/mapping/tests/compile.rs",
];

/// Where an `.sql` file may lie besides.
const SQL_DATA: &str = "crates/millstream-cli/src/commands/demo/";

const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

/// Work that was left, and tests that do not run. In pieces, since this file is read too.
const LEFT_OVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[ig", "nore"),
];

/// Folders of one machine, and settings of one network.
const LOCAL: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("[regi", "stries"),
    concat!("replace-", "with"),
    concat!("sparse", "+http"),
    concat!("extra-index", "-url"),
];

#[test]
fn sql_is_spelled_in_its_packages() -> Result<()> {
    let mut problems = Vec::new();
    for file in files()? {
        if SQL_PLACES.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        if file.path.ends_with(".sql") && !file.path.starts_with(SQL_DATA) {
            problems.push(file.path);
        } else if file.is_source() {
            let found = file
                .code()
                .filter(|(_, line)| SQL.iter().any(|word| line.contains(word)));
            problems.extend(found.map(|(number, line)| at(&file.path, number, line)));
        }
    }
    none(
        &problems,
        "Move these statements behind a function of millstream-sql, or of millstream-transport's \
         sqlite folder; the demo's own tables belong into an .sql file of its folder:",
    )
}

#[test]
fn module_heads_hold_no_logic() -> Result<()> {
    let mut problems = Vec::new();
    for file in files()? {
        let head = file.path.ends_with("/mod.rs") || file.path.ends_with("/lib.rs");
        let lines = body_lines(file.code().map(|(_, line)| line));
        if head && file.is_source() && lines > MODULE_BODY_LINES_MAX {
            problems.push(format!("{}: {lines} lines", file.path));
        }
    }
    none(
        &problems,
        &format!(
            "A mod.rs or lib.rs documents, declares and re-exports. Of function bodies it may hold \
             {MODULE_BODY_LINES_MAX} lines; move the rest to a file that is named after it:"
        ),
    )
}

#[test]
fn body_lines_are_counted() {
    let text = "fn a() {\n    b();\n\n    c()\n}\n\ntrait T {\n    fn a(&self);\n    async fn b(&self) \
                -> u8 {\n        1\n    }\n}\n\npub(crate) fn long(\n    a: u8,\n) -> u8\nwhere\n    \
                u8: Copy,\n{\n    a\n}\n\nconst fn one() -> u8 { 1 }\nconst F: fn(u8) -> u8 = f;\n";
    assert_eq!(body_lines(text.lines()), 5);
}

#[test]
fn files_are_short() -> Result<()> {
    let files = files()?;
    let sources = files.iter().filter(|file| file.is_source());
    let long = sources.map(|file| (file, file.text.lines().count()));
    let problems: Vec<_> = long
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect();
    none(
        &problems,
        &format!("Over {FILE_LINES_MAX} lines: look for the second idea in each, and move it:"),
    )
}

#[test]
fn documents_are_there() -> Result<()> {
    let missing = DOCUMENTS.iter().filter(|name| !root().join(name).is_file());
    let problems: Vec<_> = missing.map(|name| (*name).to_owned()).collect();
    none(&problems, "Write what is missing:")
}

#[test]
fn architecture_is_one_sitting() -> Result<()> {
    let files = files()?;
    let architecture = files.iter().filter(|file| file.path == "ARCHITECTURE.md");
    let problems: Vec<_> = architecture
        .map(|file| file.text.lines().count())
        .filter(|lines| *lines > ARCHITECTURE_LINES_MAX)
        .map(|lines| format!("ARCHITECTURE.md: {lines} lines"))
        .collect();
    none(
        &problems,
        &format!(
            "Cut it to {ARCHITECTURE_LINES_MAX} lines; what is left over belongs into rustdoc:"
        ),
    )
}

#[test]
fn nothing_is_left_over() -> Result<()> {
    none(
        &lines_with(LEFT_OVERS)?,
        "Do it now, or say it in an issue; a test runs or goes:",
    )
}

#[test]
fn nothing_is_local_to_one_machine() -> Result<()> {
    none(
        &lines_with(LOCAL)?,
        "Folders and registries of one machine do not belong into the repository:",
    )
}

fn lines_with(words: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for file in files()? {
        let lines = file.text.lines().enumerate();
        let lines = lines.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.extend(lines.map(|(index, line)| at(&file.path, index + 1, line)));
    }
    Ok(found)
}

fn at(path: &str, number: usize, line: &str) -> String {
    let line = line.trim();
    format!(
        "{path}:{number}: {}",
        line.chars().take(100).collect::<String>()
    )
}

/// The lines of function bodies, in code as rustfmt lays it out.
fn body_lines<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut count = 0;
    let mut head: Option<&str> = None;
    let mut body: Option<&str> = None;
    for line in lines {
        let trimmed = line.trim_start();
        let indent = &line[..line.len() - trimmed.len()];
        if let Some(open) = body {
            if indent == open && trimmed.starts_with('}') {
                body = None;
            } else if !trimmed.is_empty() {
                count += 1;
            }
            continue;
        }
        if head.is_none() && begins_function(trimmed) {
            head = Some(indent);
        }
        if let Some(open) = head {
            match trimmed.chars().last() {
                Some('{') => (head, body) = (None, Some(open)),
                Some('}') => (head, count) = (None, count + 1),
                Some(';') => head = None,
                _ => {}
            }
        }
    }
    count
}

fn begins_function(line: &str) -> bool {
    line.split_once("fn ").is_some_and(|(before, after)| {
        let mut words = before.split_whitespace();
        words.all(|word| matches!(word, "async" | "const" | "unsafe") || word.starts_with("pub"))
            && after.starts_with(|first: char| first.is_alphabetic() || first == '_')
    })
}
