//! Where the search for unsent events begins.
//!
//! The index keeps an entry for each event that was numbered until nobody can see its old row any more: a
//! transaction that reads for an hour makes every search from the beginning go through an hour of them. So
//! most searches begin above the last event that was numbered. An event may be committed after others that
//! have higher ids: searches from the beginning find it, which take no more than their share of the time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millstream_core::name::StreamName;

/// After a search from the beginning, the next one comes after this many times as long as it took.
const REST: u32 = 4;

/// One that takes no longer is always made.
const CHEAP: Duration = Duration::from_micros(500);

/// Bounds of the streams that this process sends.
#[derive(Debug, Default)]
pub(super) struct Bounds(Mutex<HashMap<StreamName, Bound>>);

#[derive(Debug, Default)]
struct Bound {
    /// The highest id that was numbered here.
    above: i64,
    /// When it is searched from the beginning; at once if never before.
    next: Option<Instant>,
}

/// A search that has begun.
#[derive(Debug)]
pub(super) struct Look {
    /// Above this id.
    pub(super) above: i64,
    since: Instant,
}

impl Bounds {
    pub(super) fn begin(&self, stream: &StreamName, now: Instant) -> Look {
        let all = self.lock();
        let bound = all
            .get(stream)
            .filter(|bound| bound.next.is_some_and(|next| now < next));
        Look {
            above: bound.map_or(0, |bound| bound.above),
            since: now,
        }
    }

    /// It has found this id first, or none. Where an event came late, others may have come with it.
    pub(super) fn end(&self, stream: &StreamName, look: &Look, first: Option<i64>, now: Instant) {
        if look.above > 0 {
            return;
        }
        let mut all = self.lock();
        let bound = all.entry(stream.clone()).or_default();
        let is_late = first.is_some_and(|first| first <= bound.above);
        let took = now.duration_since(look.since);
        let rest = match is_late || took <= CHEAP {
            true => Duration::ZERO,
            false => took * REST,
        };
        bound.next = Some(now + rest);
    }

    /// Everything up to this id is numbered, but for what comes late.
    pub(super) fn raise(&self, stream: &StreamName, id: i64) {
        let mut all = self.lock();
        let bound = all.entry(stream.clone()).or_default();
        bound.above = bound.above.max(id);
    }

    /// Begins from the beginning: events have lost their numbers, or got a stream.
    pub(super) fn forget(&self, stream: &StreamName) {
        self.lock().remove(stream);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamName, Bound>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_from_the_beginning_have_their_share_of_the_time() {
        let (bounds, stream) = (Bounds::default(), StreamName::new("events").unwrap());
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let look = |from, to, first| {
            let look = bounds.begin(&stream, at(from));
            bounds.end(&stream, &look, first, at(to));
            look.above
        };
        assert_eq!(look(0, 0, Some(1)), 0);
        bounds.raise(&stream, 9);
        bounds.raise(&stream, 7);
        assert_eq!(look(1, 11, Some(10)), 0, "nothing had come late");
        assert_eq!(look(12, 13, Some(10)), 9);
        assert_eq!(look(50, 51, None), 9);
        assert_eq!(look(51, 61, Some(5)), 0);
        assert_eq!(look(61, 71, Some(9)), 0, "what comes late is not alone");
        assert_eq!(look(71, 81, None), 0);
        assert_eq!(look(120, 121, None), 9);
        assert_eq!(look(121, 122, None), 0);
        assert_eq!(look(126, 126, None), 0);
        assert_eq!(look(126, 136, None), 0, "the last one was cheap");
        bounds.forget(&stream);
        assert_eq!(look(134, 144, Some(1)), 0);
    }
}
