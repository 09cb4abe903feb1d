use std::collections::BTreeSet;

use millstream_core::lease::LeaseRow;
use millstream_core::name::InstanceId;

/// Rows that are held together or not at all: one shard of a consumer, all shards of a relay.
pub type Unit = Vec<LeaseRow>;

/// What an instance should do next, as indexes of units.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Free units to take.
    pub acquire: Vec<usize>,
    /// Units to stop working on: lost ones, and held ones to give back.
    pub release: Vec<usize>,
}

/// Decides what to take and what to give back.
///
/// `held` says which units this instance works on right now. What it works on though the rows name
/// another owner is lost: it is given up at once and takes no part of the share, for a task that has
/// nothing to write may not find out by itself.
pub fn decide(
    me: &InstanceId,
    living: &BTreeSet<InstanceId>,
    units: &[Unit],
    held: impl Fn(&Unit) -> bool,
) -> Decision {
    let rank = living
        .iter()
        .position(|instance| instance == me)
        .unwrap_or(0);
    let count = living.len().max(1);
    let share = units.len() / count + usize::from(rank < units.len() % count);

    let owns = |unit: &Unit| unit.iter().all(|row| row.owner.as_ref() == Some(me));
    let (mine, lost): (Vec<usize>, Vec<usize>) = (0..units.len())
        .filter(|&unit| held(&units[unit]))
        .partition(|&unit| owns(&units[unit]));
    let is_free = |unit: &Unit| {
        unit.iter().all(|row| match &row.owner {
            None => true,
            Some(owner) => owner == me || !living.contains(owner),
        })
    };
    // Left over from a lost reply, or from a database that went back. Nobody else takes what is in our
    // name, so that we do whatever our share is: what is too much is given back as anything else.
    let is_left_over = |unit: &Unit| unit.iter().any(|row| row.owner.as_ref() == Some(me));
    let (left_over, free): (Vec<usize>, Vec<usize>) = (0..units.len())
        .filter(|&unit| !held(&units[unit]) && is_free(&units[unit]))
        .partition(|&unit| is_left_over(&units[unit]));
    let more = share.saturating_sub(mine.len() + left_over.len());
    Decision {
        acquire: left_over
            .into_iter()
            .chain(free.into_iter().take(more))
            .collect(),
        release: lost
            .into_iter()
            .chain(mine.into_iter().skip(share))
            .collect(),
    }
}
