use std::ffi::OsStr;

use crate::run::{employees, prove};

#[test]
fn made_up_histories_arrive_whole() {
    prove(["history", "--limit", "8000"]);
}

#[test]
fn the_employees_history_arrives_whole() {
    let Some(events) = employees() else {
        println!("skipped: no data/employees beside the workspace (MILLSTREAM_SHARED names it)");
        return;
    };
    prove([
        OsStr::new("history"),
        OsStr::new("--events"),
        events.as_os_str(),
    ]);
}
