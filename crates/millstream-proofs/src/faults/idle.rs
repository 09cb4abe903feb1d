//! What must come back by itself while nothing is published.

use std::time::Duration;

use crate::faults::fault::Fault;
use crate::faults::stage::Stage;
use crate::play::Play;
use crate::site::level::Follower;
use crate::site::{Level, Served};

/// Affiliate, and its place among the processes.
const AFFILIATE: (&str, usize) = ("affiliate", 5);

/// How long it may take until an idle stream is whole again: its relay may have been killed too.
const BACK_MAX: Duration = Duration::from_secs(60);

impl Stage {
    /// Lets events happen, something happen to them, and waits until the streams are whole again;
    /// only then may anything else be published. With `behind`, one of the followers is away
    /// meanwhile, and needs what is gone.
    pub(super) fn idle_round(
        &mut self,
        fault: Fault,
        published: u64,
        behind: bool,
    ) -> anyhow::Result<()> {
        let (away, place) = AFFILIATE;
        let away = behind.then_some(away);
        if behind {
            self.play.fleet.stop_these(&[place])?;
        }
        self.play.fleet.allow(published)?;
        self.come_back(published, away)?;
        self.inject(fault)?;
        self.come_back(published, away)?;
        self.play.fleet.start_missing()?;
        self.play.settle(published)
    }

    /// Waits until the streams hold all that somebody needs of what was published, and all but those
    /// who are away have settled it and say so.
    fn come_back(&mut self, published: u64, away: Option<&str>) -> anyhow::Result<()> {
        let eyes = &self.eyes;
        self.play
            .until("the streams do not come back", BACK_MAX, |play| {
                is_whole(play, eyes, published, away)
            })
    }
}

fn is_whole(
    play: &Play,
    eyes: &Served,
    published: u64,
    away: Option<&str>,
) -> anyhow::Result<bool> {
    let level = Level::read(&play.view)?;
    let Some(held) = eyes.descriptions()? else {
        return Ok(false);
    };
    if level.published != published || level.unsent > 0 {
        return Ok(false);
    }
    let followers = || level.followers.iter();
    let present = |application: &str| away != Some(application);
    for (shard, held) in (0..).zip(held) {
        let top = level.top.get(&shard).copied().unwrap_or_default();
        let settled = |follower: &Follower| follower.checkpoints.get(&shard).copied();
        let shown = |follower: &Follower| follower.positions.get(&shard).copied();
        let level_with_top = followers()
            .filter(|(application, _)| present(application))
            .all(|(_, follower)| {
                let marks = [settled(follower), shown(follower)];
                marks.map(Option::unwrap_or_default) == [top, top]
            });
        let needed_above = followers().map(|(_, follower)| settled(follower).unwrap_or_default());
        let needed_above = needed_above.min().unwrap_or_default().low;
        let first = held.first.map_or(top.low + 1, |first| first.low);
        let dense = first + held.length == top.low + 1;
        if held.last != top || !dense || first > needed_above + 1 || !level_with_top {
            return Ok(false);
        }
    }
    Ok(true)
}
