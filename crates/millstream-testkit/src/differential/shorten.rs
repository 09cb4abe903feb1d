use super::operation::Operation;

/// Runs that a search makes at most.
const TRIES_MAX: usize = 500;

/// Leaves out of a program that fails what it can do without.
///
/// `fails` runs a program and tells how many of its operations it took to fail, if it does.
pub(super) async fn shorten<F>(
    mut program: Vec<Operation>,
    mut fails: impl FnMut(Vec<Operation>) -> F,
) -> Vec<Operation>
where
    F: Future<Output = Option<usize>>,
{
    let mut tries = 0;
    let mut chunk = program.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        let mut shorter = false;
        while at < program.len() && tries < TRIES_MAX {
            tries += 1;
            let end = program.len().min(at + chunk);
            let mut candidate = program.clone();
            candidate.drain(at..end);
            match fails(candidate.clone()).await {
                Some(count) => {
                    candidate.truncate(count);
                    program = candidate;
                    shorter = true;
                }
                None => at = end,
            }
        }
        // Once more with single ones as long as that helps: some go only after others have gone.
        if chunk > 1 || !shorter || tries == TRIES_MAX {
            chunk /= 2;
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::super::operation::{LogOperation, QueueOperation};
    use super::*;

    /// Fails at the first trim that comes after two additions.
    async fn fails(program: Vec<Operation>) -> Option<usize> {
        let mut added = 0;
        for (number, operation) in program.iter().enumerate() {
            match operation {
                Operation::Queue(QueueOperation::Add { .. }) => added += 1,
                Operation::Log {
                    operation: LogOperation::Trim { .. },
                    ..
                } if added >= 2 => return Some(number + 1),
                _ => {}
            }
        }
        None
    }

    #[tokio::test]
    async fn what_has_nothing_to_do_with_it_goes() {
        for number in 0..20 {
            let program = generate::program(7, number, 200);
            assert!(fails(program.clone()).await.is_some(), "too short");
            let short = shorten(program, fails).await;
            assert_eq!(short.len(), 3, "{short:?}");
            assert_eq!(fails(short).await, Some(3));
        }
    }
}
