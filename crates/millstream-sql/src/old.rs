//! Which rows of an inbox are old enough to go.

use millstream_core::clock::Timestamp;
use millstream_core::entry::EntryId;
use millstream_core::store::{Old, Pruned};

/// A row of an inbox, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) at: EntryId,
    pub(crate) applied_at: Timestamp,
    /// It is still to be settled, or for a person to look at.
    pub(crate) parked: bool,
}

/// What goes of the rows that were looked at, as ranges that include both ends, and where to look on.
///
/// `rows` are the first ones behind `old.after`, at most `limit`. Two events under one entry id go
/// together, or stay.
pub(crate) fn going(rows: &[Row], old: &Old, limit: usize) -> (Vec<(EntryId, EntryId)>, Pruned) {
    let is_old = |row: &Row| row.at <= old.through && row.applied_at < old.applied_before;
    let is_full = rows.len() >= limit;
    let mut entries: Vec<&[Row]> = rows.chunk_by(|one, next| one.at == next.at).collect();
    // Of the last entry there may be more.
    if is_full && entries.len() > 1 {
        entries.pop();
    }
    let mut ranges: Vec<(EntryId, EntryId)> = Vec::new();
    let mut removed = 0;
    let mut goes_on = false;
    for entry in &entries {
        let at = entry[0].at;
        let goes = entry.iter().all(|row| is_old(row) && !row.parked);
        if goes {
            removed += entry.len() as u64;
            match ranges.last_mut().filter(|_| goes_on) {
                Some(range) => range.1 = at,
                None => ranges.push((at, at)),
            }
        }
        goes_on = goes;
    }
    let last = entries.last().map(|entry| entry[0].at);
    // What stands behind young ones is younger still, all in all.
    let next = last.filter(|last| is_full && *last < old.through && rows.iter().any(is_old));
    (ranges, Pruned { removed, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(low: u64, applied_at: i64) -> Row {
        Row {
            at: EntryId::new(1, low),
            applied_at: Timestamp::from_millis(applied_at),
            parked: false,
        }
    }

    fn parked(low: u64, applied_at: i64) -> Row {
        Row {
            parked: true,
            ..row(low, applied_at)
        }
    }

    fn old(through: u64) -> Old {
        Old {
            after: EntryId::ZERO,
            through: EntryId::new(1, through),
            applied_before: Timestamp::from_millis(100),
        }
    }

    /// The ranges, and where to look on.
    fn shown(rows: &[Row], old: &Old, limit: usize) -> (Vec<(u64, u64)>, u64, Option<u64>) {
        let (ranges, pruned) = going(rows, old, limit);
        let ranges = ranges.iter().map(|(first, last)| (first.low, last.low));
        (
            ranges.collect(),
            pruned.removed,
            pruned.next.map(|at| at.low),
        )
    }

    #[test]
    fn what_is_parked_or_young_stays() {
        let rows = [row(1, 5), row(2, 6), parked(3, 7), row(4, 8), row(5, 200)];
        let expected = (vec![(1, 2), (4, 4)], 3, None);
        assert_eq!(shown(&rows, &old(9), 100), expected);
        let expected = (vec![(1, 1)], 1, None);
        assert_eq!(shown(&rows, &old(1), 100), expected);
    }

    #[test]
    fn the_next_look_begins_behind_this_one() {
        let rows = [row(1, 5), row(2, 6), row(3, 7)];
        assert_eq!(shown(&rows, &old(9), 3), (vec![(1, 2)], 2, Some(2)));
        assert_eq!(shown(&rows, &old(9), 4), (vec![(1, 3)], 3, None));
        assert_eq!(shown(&[], &old(9), 4), (vec![], 0, None));
        // Nothing behind it can go.
        let young = [row(1, 500), row(2, 600), row(3, 700)];
        assert_eq!(shown(&young, &old(9), 3), (vec![], 0, None));
        // What a person must look at holds up nothing.
        let rows = [parked(1, 5), parked(2, 6), parked(3, 7)];
        assert_eq!(shown(&rows, &old(9), 3), (vec![], 0, Some(2)));
    }

    #[test]
    fn two_events_under_one_entry_id_go_together() {
        let rows = [row(1, 5), parked(1, 5), row(2, 6), row(2, 7)];
        assert_eq!(shown(&rows, &old(9), 100), (vec![(2, 2)], 2, None));
        assert_eq!(shown(&rows, &old(9), 4), (vec![], 0, Some(1)));
        let rows = [row(1, 5), row(2, 6), row(2, 700)];
        assert_eq!(shown(&rows, &old(9), 100), (vec![(1, 1)], 1, None));
    }
}
