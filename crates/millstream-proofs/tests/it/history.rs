use crate::run::prove;

#[test]
fn made_up_histories_arrive_whole() {
    println!("{}", prove(["history", "--limit", "8000"]));
}
