use millstream::core::descriptor::{Descriptor, Subscriber, Subscription};
use millstream::core::entry::{Entry, EntryId, Shard};
use millstream::core::error::Error;
use millstream::core::lease::{Feed, Role};
use millstream::core::name::StreamName;
use millstream::core::outbox::Registered;
use millstream::core::wire::field;
use millstream::{App, Config, Transport};

/// An application that owns a stream, as far as it is known here.
#[derive(Debug)]
pub(in crate::commands) struct Publisher<'a> {
    /// What it has announced, or what its database says where it has announced nothing.
    pub(in crate::commands) descriptor: Descriptor,
    /// Its section, where the configuration has one.
    pub(in crate::commands) app: Option<&'a App>,
}

impl<'a> Publisher<'a> {
    /// Everybody who has announced the stream, and those configured here whose database has it.
    pub(in crate::commands) async fn all(
        config: &'a Config,
        transport: &Transport,
        stream: &StreamName,
    ) -> Result<Vec<Self>, Error> {
        let publishes = |app: &&App| app.publishes().iter().any(|one| one.name == *stream);
        let mut all = Vec::new();
        for mut descriptor in transport.log.publishers(Some(stream)).await? {
            let app = config.apps.get(&descriptor.owner).filter(publishes);
            if let Some(app) = app
                && let Ok(subscribers) = app.database().subscribers(stream).await
            {
                // Who was forgotten is announced until a relay runs.
                let known = |one: &Subscriber| {
                    subscribers
                        .iter()
                        .any(|row| row.application == one.application)
                };
                descriptor.subscribers.retain(known);
            }
            all.push(Self { descriptor, app });
        }
        for app in config.apps.values().filter(publishes) {
            if all
                .iter()
                .any(|known| known.descriptor.owner == *app.name())
            {
                continue;
            }
            // A database that is away, or has not sent anything yet, has nothing to show.
            if let Ok(Some(descriptor)) = describe(app, stream).await {
                all.push(Self {
                    descriptor,
                    app: Some(app),
                });
            }
        }
        all.sort_by(|a, b| a.descriptor.owner.cmp(&b.descriptor.owner));
        Ok(all)
    }

    /// What its database has numbered in each shard; none where it is not to be asked from here.
    pub(in crate::commands) async fn tops(&self) -> Result<Option<Vec<EntryId>>, Error> {
        match self.app {
            Some(app) => Ok(Some(tops(app, &self.descriptor.stream).await?)),
            None => Ok(None),
        }
    }

    /// Whether its database has the event of an entry under that number, or no event that it could be
    /// compared with.
    pub(super) async fn knows(&self, shard: &Shard, entry: &Entry) -> Result<bool, Error> {
        let Some(app) = self.app else {
            return Ok(true);
        };
        let row = app.database().checkpoint_at(shard, entry.id).await?;
        let found = entry.fields.get(field::EVENT_ID);
        Ok(row
            .and_then(|row| row.event_id)
            .is_none_or(|known| found.is_some_and(|found| *found == known.as_str())))
    }
}

/// The last number of each shard, in their order.
pub(super) async fn tops(app: &App, stream: &StreamName) -> Result<Vec<EntryId>, Error> {
    let rows = app.database().leases(Role::Relay).await?;
    let mut tops: Vec<(u16, EntryId)> = rows
        .into_iter()
        .filter_map(|row| match row.feed {
            Feed::Owned(Shard {
                stream: of, number, ..
            }) if of == *stream => Some((number, row.checkpoint.at)),
            _ => None,
        })
        .collect();
    tops.sort_unstable();
    Ok(tops.into_iter().map(|(_, top)| top).collect())
}

/// What a database says about its stream, in the form of an announcement; none where no relay has
/// worked on it yet.
async fn describe(app: &App, stream: &StreamName) -> Result<Option<Descriptor>, Error> {
    let database = app.database();
    let tops = tops(app, stream).await?;
    if tops.is_empty() {
        return Ok(None);
    }
    let subscribers = database.subscribers(stream).await?;
    let generations = tops.iter().map(|top| top.high);
    Ok(Some(Descriptor {
        stream: stream.clone(),
        owner: app.name().clone(),
        database: database.identity().await?.database,
        shards: u16::try_from(tops.len()).unwrap_or(u16::MAX),
        generation: generations.max().unwrap_or(1).max(1),
        count: 0,
        bounds: Vec::new(),
        subscribers: subscribers.iter().map(announced).collect(),
    }))
}

fn announced(row: &Registered) -> Subscriber {
    let place = |progress: &millstream::core::outbox::Progress| Subscription {
        base: progress.base,
        settled: progress.settled.at,
    };
    Subscriber {
        application: row.application.clone(),
        database: row.database.clone(),
        shards: row.shards.iter().map(place).collect(),
    }
}
