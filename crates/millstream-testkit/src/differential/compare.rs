use super::answer::Answer;
use super::declared::Difference;
use super::operation::Operation;

/// What comes of comparing two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Different, as the difference with this index says.
    Declared(usize),
    Different,
}

pub(super) fn compare(
    declared: &[Difference],
    operation: &Operation,
    left: &Answer,
    right: &Answer,
) -> Verdict {
    if left == right {
        return Verdict::Same;
    }
    let covering = declared
        .iter()
        .position(|difference| (difference.covers)(operation, left, right));
    covering.map_or(Verdict::Different, Verdict::Declared)
}
