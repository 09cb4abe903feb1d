//! The table of faults names tests that exist, and leaves out no row.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};

use crate::repository::{File, files, none};

const TABLE: &str = "docs/faults.md";

/// The rows that it has to have.
const ROWS: &[RangeInclusive<u32>] = &[5..=50, 55..=60, 64..=64, 67..=67, 70..=71];

/// The traps that it has to have; their labels begin so.
const TRAPS: RangeInclusive<u32> = 1..=15;
const TRAP: char = 'T';

/// Rows that may say what is in the way of a test, and how they begin.
const OPEN_MAX: usize = 5;
const OPEN: &str = "not yet: ";

/// Where the tests of suites stand.
const SUITES: &str = "crates/millstream-testkit/src/suite/";

/// A line of the table: what is to hold under a fault, and the tests that say so.
struct Row<'a> {
    label: &'a str,
    held_by: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let (label, rest) = cells.split_once(" | ")?;
        let number = label.strip_prefix(TRAP).unwrap_or(label);
        number.parse::<u32>().ok()?;
        Some(Self {
            label,
            held_by: rest.rsplit_once(" | ")?.1,
        })
    }

    fn is_open(&self) -> bool {
        self.held_by.starts_with(OPEN)
    }

    fn tests(&self) -> Vec<&'a str> {
        self.held_by.split('`').skip(1).step_by(2).collect()
    }
}

/// Whether there is a test of that name: `package::binary path::name`, `package path::name` for one
/// beside the code, and `package::binary * name` for one of a suite.
fn exists(test: &str, files: &[File]) -> bool {
    let Some((target, path)) = test.split_once(' ') else {
        return false;
    };
    let (modules, name) = match path.strip_prefix("* ") {
        Some(name) => (None, name),
        None => match path.rsplit_once("::") {
            Some((modules, name)) => (Some(modules), name),
            None => return false,
        },
    };
    let folder = match target.split_once("::") {
        Some((package, binary)) => format!("crates/{package}/tests/{binary}"),
        None => format!("crates/{target}/src"),
    };
    let is_place = |path: &str| match modules {
        None => path.starts_with(SUITES),
        Some(modules) => {
            let file = format!("{folder}/{}", modules.replace("::", "/"));
            let beside = file.strip_suffix("/tests").unwrap_or(&file);
            [&*file, beside].iter().any(|file| {
                path.strip_prefix(file)
                    .is_some_and(|rest| rest == ".rs" || rest == "/mod.rs")
            })
        }
    };
    let (plain, generic) = (format!("fn {name}("), format!("fn {name}<"));
    files.iter().any(|file| {
        is_place(&file.path) && (file.text.contains(&plain) || file.text.contains(&generic))
    })
}

#[test]
fn every_fault_is_held_by_tests_that_exist() -> Result<()> {
    let files = files()?;
    let table = files.iter().find(|file| file.path == TABLE);
    let table = &table.context("there is no table of faults")?.text;
    let rows: Vec<Row<'_>> = table.lines().filter_map(Row::parse).collect();

    let mut problems = Vec::new();
    let numbers = ROWS.iter().cloned().flatten().map(|n| n.to_string());
    for label in numbers.chain(TRAPS.map(|n| format!("{TRAP}{n}"))) {
        if rows.iter().all(|row| row.label != label) {
            problems.push(format!("row {label} is missing"));
        }
    }
    for row in &rows {
        let tests = row.tests();
        if tests.is_empty() && !row.is_open() {
            problems.push(format!("row {} names no test", row.label));
        }
        let missing = tests.iter().filter(|test| !exists(test, &files));
        problems.extend(missing.map(|test| format!("row {}: {test}", row.label)));
    }
    let open = rows.iter().filter(|row| row.is_open()).count();
    if open > OPEN_MAX {
        problems.push(format!("{open} rows are open, {OPEN_MAX} may be"));
    }
    none(
        &problems,
        &format!("Write the test, or name in {TABLE} the one that it became:"),
    )
}

#[test]
fn tests_are_found_where_they_are_named() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file("crates/a/tests/it/b/c.rs", "async fn works() {}"),
        file("crates/a/src/b.rs", "fn works_too() {}"),
        file("crates/a/src/c/tests.rs", "fn works_as_well() {}"),
        file(
            &format!("{SUITES}x/y.rs"),
            "pub async fn agrees<P: Place>() {}",
        ),
    ];
    for test in [
        "a::it b::c::works",
        "a b::tests::works_too",
        "a c::tests::works_as_well",
        "a::it * agrees",
    ] {
        assert!(exists(test, &files), "{test}");
    }
    for test in [
        "a::it b::c::work",
        "a::it b::works",
        "b::it b::c::works",
        "a::it * works",
        "a::it works",
        "works",
    ] {
        assert!(!exists(test, &files), "{test}");
    }
}
