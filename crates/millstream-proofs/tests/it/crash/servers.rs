use crate::run::prove;

#[test]
fn a_full_server_gets_empty_by_itself() {
    println!("{}", prove(["full", "--count", "10000"]));
}

#[test]
fn fail_overs_lose_nothing_in_the_end() {
    println!("{}", prove(["failover", "--times", "3", "--count", "8000"]));
}

#[test]
fn a_cluster_whose_masters_die_and_whose_slots_move_loses_nothing() {
    println!("{}", prove(["cluster", "--times", "2", "--count", "8000"]));
}
