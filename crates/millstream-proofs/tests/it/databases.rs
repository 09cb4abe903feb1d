//! The beginning of the employees history in databases of three kinds, while servers and processes die:
//! their tables are then compared, byte for byte, with those of the model, which ends where the whole
//! history does (`model::tests`).

use std::ffi::OsString;

use crate::run::{employees, prove};

fn survives(more: &[&str]) -> String {
    let arguments = ["databases", "--kills", "4", "--count", "2000"];
    let mut arguments: Vec<OsString> = arguments.iter().chain(more).map(OsString::from).collect();
    if let Some(events) = employees() {
        arguments.extend(["--events".into(), events.into()]);
    }
    prove(arguments)
}

#[test]
fn databases_follow_what_is_published() {
    println!("{}", survives(&[]));
}

#[test]
fn databases_follow_what_is_captured() {
    println!("{}", survives(&["--capture"]));
}

fn numbers(database: &str) -> String {
    let arguments = [
        "outbox",
        "--database",
        database,
        "--rows",
        "10000",
        "--hold",
        "5",
    ];
    prove(arguments)
}

/// The long form changes a million.
#[test]
fn rows_that_one_statement_changes_are_captured() {
    for database in ["sqlite", "postgres", "mariadb"] {
        let arguments = ["captured", "--database", database, "--rows", "20000"];
        println!("{}", prove(arguments));
    }
}

#[test]
fn an_outbox_on_postgresql_loses_and_reorders_nothing() {
    println!("{}", numbers("postgres"));
}

#[test]
fn an_outbox_on_mariadb_loses_and_reorders_nothing() {
    println!("{}", numbers("mariadb"));
}
