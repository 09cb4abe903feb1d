use crate::run::prove;

#[test]
fn memory_does_not_grow_with_the_backlog() {
    println!("{}", prove(["memory", "--events", "60000"]));
}
