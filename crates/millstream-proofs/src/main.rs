//! Long proofs, with counts as arguments: processes are killed, entries come twice, backlogs are
//! long, and the tables must be right all the same.
//!
//! Each proof says on stderr how it goes, ends with one line on stdout, and fails with what it saw
//! and the folder to look into. `./test` runs short forms of them.

mod captured;
mod check;
mod child;
mod crash;
mod databases;
mod faults;
mod fleet;
mod full;
mod history;
mod info;
mod memory;
mod model;
mod outbox;
mod play;
mod run;
mod settle;
mod site;
mod terminal;
mod topology;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Long proofs of Millstream
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    proof: Proof,
}

#[derive(Debug, Subcommand)]
enum Proof {
    /// Kill processes by SIGKILL, deliver entries twice, and compare every row
    Crash(crash::Crash),
    /// The same history without kills
    History(run::Run),
    /// Let things happen to a server and to what it holds, and compare every row
    Redis(faults::Faults),
    /// Fill a server with what nobody has settled, and let it get empty by itself
    Full(full::Full),
    /// Kill masters whose replica lacks what they have acknowledged
    Failover(topology::Failover),
    /// Kill masters of a Cluster, and move slots, while events pass
    Cluster(topology::Slots),
    /// Keep one history in databases of three kinds, while servers and processes die
    Databases(databases::Databases),
    /// Let many write to an outbox, and number what they wrote at the same time
    Outbox(outbox::Outbox),
    /// Change every row of a captured table by one statement
    Captured(captured::Captured),
    /// Measure a consumer's memory with a long backlog and with a short one
    Memory(memory::Memory),
    /// Play a part in a proof
    #[command(hide = true)]
    Part(child::Part),
    /// Drain a log that holds a backlog
    #[command(hide = true)]
    Drain(memory::Drain),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().proof {
        Proof::Crash(args) => crash::crash(args).map(Some),
        Proof::History(args) => crash::history(args).map(Some),
        Proof::Redis(args) => faults::faults(args).map(Some),
        Proof::Full(args) => full::full(args).map(Some),
        Proof::Failover(args) => topology::failover(args).map(Some),
        Proof::Cluster(args) => topology::cluster(args).map(Some),
        Proof::Databases(args) => databases::databases(args).map(Some),
        Proof::Outbox(args) => outbox::outbox(args).map(Some),
        Proof::Captured(args) => captured::captured(args).map(Some),
        Proof::Memory(args) => memory::memory(args).map(Some),
        Proof::Part(part) => child::run(part).map(|()| None),
        Proof::Drain(args) => memory::drain(args).map(Some),
    };
    let told = outcome.and_then(|line| Ok(line.map(terminal::print).transpose()?));
    match told {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::say(format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
