//! The first 10,000 events of the employees history through a real server, one fault each: they must
//! end in the rows that the model says, whatever happens meanwhile.

use std::ffi::OsString;

use crate::run::{employees, prove};

/// Things that happen in one test.
const ROUNDS: &str = "3";

fn survives(fault: &str, more: &[&str]) -> String {
    let arguments = ["redis", "--fault", fault, "--rounds", ROUNDS];
    let arguments = arguments.iter().chain(more).map(OsString::from);
    let mut arguments: Vec<OsString> = arguments
        .chain(["--count", "10000"].map(OsString::from))
        .collect();
    let events = employees();
    let which = match &events {
        Some(_) => "the employees history",
        None => {
            "a made-up history: no data/employees beside the workspace (MILLSTREAM_SHARED names it)"
        }
    };
    if let Some(events) = events {
        arguments.extend(["--events".into(), events.into()]);
    }
    format!("{which}: {}", prove(arguments))
}

#[test]
fn redis_every_process_is_killed() {
    println!("{}", survives("kill", &[]));
}

#[test]
fn redis_every_process_is_killed_while_idle() {
    println!("{}", survives("kill", &["--idle", "--rounds", "2"]));
}

#[test]
fn redis_flushall() {
    println!("{}", survives("flushall", &[]));
}

#[test]
fn redis_flushall_while_idle() {
    println!("{}", survives("flushall", &["--idle", "--rounds", "2"]));
}

#[test]
fn redis_del() {
    println!("{}", survives("del", &[]));
}

#[test]
fn redis_del_while_idle() {
    println!("{}", survives("del", &["--idle", "--rounds", "2"]));
}

#[test]
fn redis_xdel_in_the_middle() {
    println!("{}", survives("xdel-middle", &[]));
}

#[test]
fn redis_xdel_in_the_middle_while_idle() {
    println!("{}", survives("xdel-middle", &["--idle", "--rounds", "2"]));
}

#[test]
fn redis_xdel_of_the_last_entry() {
    println!("{}", survives("xdel-last", &[]));
}

#[test]
fn redis_xdel_of_the_last_entry_while_idle() {
    println!("{}", survives("xdel-last", &["--idle", "--rounds", "2"]));
}

#[test]
fn redis_foreign_xadd() {
    println!("{}", survives("foreign", &[]));
}

#[test]
fn redis_rename() {
    println!("{}", survives("rename", &[]));
}

#[test]
fn redis_xtrim_past_everything() {
    println!("{}", survives("xtrim", &[]));
}

#[test]
fn redis_xgroup_destroy() {
    println!("{}", survives("group-destroy", &[]));
}

#[test]
fn redis_eviction() {
    println!("{}", survives("eviction", &[]));
}

#[test]
fn redis_oom_for_ten_seconds() {
    println!("{}", survives("oom", &["--rounds", "1"]));
}

#[test]
fn redis_aof_cut_at_a_random_byte() {
    println!("{}", survives("aof-cut", &[]));
}

#[test]
fn redis_relay_stopped_while_its_successor_works() {
    println!("{}", survives("stopped-relay", &[]));
}

#[test]
fn redis_replies_dropped_after_the_command_ran() {
    println!("{}", survives("lost-replies", &[]));
}

#[test]
fn redis_all_of_them() {
    println!(
        "{}",
        survives("all", &["--rounds", "14", "--oom-seconds", "3"])
    );
}

#[test]
fn valkey_all_of_them() {
    survives(
        "all",
        &[
            "--rounds",
            "14",
            "--oom-seconds",
            "3",
            "--flavour",
            "valkey",
        ],
    );
}
