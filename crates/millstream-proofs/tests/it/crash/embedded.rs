use std::ffi::OsStr;

use crate::run::{employees, prove};

#[test]
fn made_up_histories_survive_kills() {
    println!("{}", prove(["crash", "--kills", "12", "--limit", "6000"]));
}

#[test]
fn the_employees_history_survives_kills() {
    let Some(events) = employees() else {
        println!("skipped: no data/employees beside the workspace (MILLSTREAM_SHARED names it)");
        return;
    };
    let arguments = ["crash", "--kills", "20", "--events"].map(OsStr::new);
    println!(
        "{}",
        prove(arguments.into_iter().chain([events.as_os_str()]))
    );
}
