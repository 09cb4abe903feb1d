use millstream::App;
use millstream::core::entry::{EntryId, Shard};
use millstream::core::error::Error;
use millstream::core::log::Description;
use millstream::core::name::AppName;
use millstream::core::outbox::Registered;
use millstream::engine::relay::StreamOptions;

/// What may go from a shard.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) shard: Shard,
    /// Entries up to here.
    pub(super) through: EntryId,
    /// Who has settled least: nothing more goes before they have.
    pub(super) held_by: Vec<AppName>,
    /// What they have settled; none where nobody follows.
    settled: Option<EntryId>,
    replay_margin: u64,
}

impl Plan {
    /// Why nothing goes from a shard that has entries, the last of which is this.
    pub(super) fn keeps(&self, last: EntryId) -> String {
        let names: Vec<_> = self.held_by.iter().map(AppName::as_str).collect();
        let who = match self.settled {
            None => return "nobody has followed it yet: whoever comes first gets all of it".into(),
            Some(settled) if settled < last => {
                format!(
                    "{} settled up to {settled} of {last} only",
                    names.join(", ")
                )
            }
            Some(settled) => format!("all settled up to {settled}"),
        };
        match self.replay_margin {
            0 => who,
            margin => format!("{who}, and replay_margin = {margin} keeps the last of that"),
        }
    }
}

/// Asks the publisher's database how far everybody is. Whatever its outbox still has, its relay can
/// bring back; so nothing is lost even if somebody registers meanwhile.
pub(super) async fn plans(app: &App, stream: &StreamOptions) -> Result<Vec<Plan>, Error> {
    let outbox = app.database();
    let subscribers = outbox.subscribers(&stream.name).await?;
    let pruned = outbox.pruned(&stream.name).await?;
    let plan = |number: u16| {
        let pruned = pruned.get(usize::from(number)).copied().unwrap_or_default();
        let (settled, held_by) = settled_by_all(&subscribers, number);
        // As long as nobody follows, the whole outbox is kept for whoever comes first.
        let through = settled.map_or(EntryId::ZERO, |settled| {
            EntryId::new(
                settled.high,
                settled.low.saturating_sub(stream.replay_margin),
            )
        });
        Plan {
            shard: Shard {
                stream: stream.name.clone(),
                owner: app.name().clone(),
                number,
            },
            through: through.max(pruned),
            held_by,
            settled,
            replay_margin: stream.replay_margin,
        }
    };
    Ok((0..stream.shards).map(plan).collect())
}

fn settled_by_all(subscribers: &[Registered], shard: u16) -> (Option<EntryId>, Vec<AppName>) {
    let settled = |one: &Registered| {
        let progress = one.shards.get(usize::from(shard));
        progress.map_or(EntryId::ZERO, |progress| progress.settled.at)
    };
    let lowest = subscribers.iter().map(settled).min();
    let holders = subscribers
        .iter()
        .filter(|one| Some(settled(one)) == lowest);
    (lowest, holders.map(|one| one.application.clone()).collect())
}

/// How many entries a trim would remove. Seqs are dense, so their difference is a number of entries.
pub(super) fn count(found: &Description, through: EntryId) -> u64 {
    let kept = if through >= found.last {
        0
    } else if through.high == found.last.high {
        found.last.low - through.low
    } else {
        found.length
    };
    found.length.saturating_sub(kept)
}
