//! What a running service tells about itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use millstream_core::delivery::Counts;
use millstream_core::entry::EntryId;
use millstream_core::lease::Feed;

/// A look at a running service. Cheap to clone, and good beyond the service's end.
#[derive(Debug, Clone, Default)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Status>,
    changed: watch::Sender<u64>,
}

/// What a service is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Why nothing moves at all, where that is so.
    pub paused: Option<String>,
    /// The feeds that it holds a lease on.
    pub feeds: BTreeMap<Feed, FeedStatus>,
    /// How deliveries ended since the service started.
    pub counts: Counts,
    /// Deliveries of shared streams whose event had been settled before.
    pub repeated: u64,
    /// Events sent since the service started; for a relay.
    pub sent: u64,
    /// Shards whose streams were damaged and begun anew since the service started; for a relay.
    pub repairs: u64,
}

/// What a service is doing about one feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedStatus {
    /// Whether it moves.
    pub state: State,
    /// The last entry settled, or sent.
    pub at: EntryId,
    /// Whether parked events cannot even be tried again, since something else is in their way.
    pub obstructed: bool,
}

/// Whether a feed moves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It does, or waits for something to arrive.
    #[default]
    Running,
    /// Something is away and will be tried again.
    Paused(String),
    /// Something is wrong with the stream that waiting alone does not mend.
    Stalled(String),
    /// Publisher and follower have different histories: a database was restored. A person decides.
    Forked(String),
}

impl Handle {
    /// The state of things now.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }

    /// A receiver that wakes at each change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// Waits until the status fulfils a condition.
    ///
    /// # Cancel safety
    ///
    /// Only looks.
    pub async fn wait_until(&self, condition: impl Fn(&Status) -> bool) {
        let mut changed = self.subscribe();
        loop {
            changed.borrow_and_update();
            if condition(&self.lock()) {
                return;
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.lock());
        self.shared.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn update_feed(&self, feed: &Feed, change: impl FnOnce(&mut FeedStatus)) {
        self.update(|status| {
            if let Some(feed) = status.feeds.get_mut(feed) {
                change(feed);
            }
        });
    }

    /// Ends a pause. A feed that is stalled stays so: another part of it knows why.
    pub(crate) fn resume(&self, feed: &Feed) {
        let paused = self
            .lock()
            .feeds
            .get(feed)
            .is_some_and(|known| matches!(known.state, State::Paused(_)));
        if paused {
            self.set_state(feed, State::Running);
        }
    }

    /// Ends a fork that a person has decided on.
    pub(crate) fn unfork(&self, feed: &Feed) {
        self.update_feed(feed, |known| {
            if matches!(known.state, State::Forked(_)) {
                known.state = State::Running;
            }
        });
    }

    /// Sets a feed's state and says whether that is news.
    pub(crate) fn set_state(&self, feed: &Feed, state: State) -> bool {
        let known = self
            .lock()
            .feeds
            .get(feed)
            .is_none_or(|known| known.state == state);
        if !known {
            self.update_feed(feed, |status| status.state = state);
        }
        !known
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.shared
            .status
            .lock()
            .expect("nothing panics while it is held")
    }
}
