use crate::run::prove;

#[test]
fn tables_converge_whatever_is_killed() {
    prove(["crash", "--kills", "12", "--limit", "6000"]);
}
