use bytes::Bytes;
use proptest::prelude::*;

use millstream_core::entry::Fields;
use millstream_core::name::{AppName, StreamName};
use millstream_core::outbox::OutboxRow;
use millstream_core::wire;

use super::*;

fn shard() -> Shard {
    Shard {
        stream: StreamName::new("events").unwrap(),
        owner: AppName::new("crm").unwrap(),
        number: 0,
    }
}

fn own(generation: u64, seq: u64, event: &str) -> Entry {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let row = OutboxRow {
        shard: 0,
        at: EntryId::new(generation, seq),
        prev: None,
        event_id: Bytes::copy_from_slice(event.as_bytes()),
        event_type: text("user.updated"),
        version: text("1.0"),
        target: text("*"),
        tenant: text("acme"),
        entity: text("7"),
        partition_key: text("7"),
        entity_version: seq,
        timestamp: text("2026-01-01T00:00:00Z"),
        published_by: text("system"),
        data: text("{}"),
        metadata: text("{}"),
    };
    wire::encode_owned(&row, &shard().owner)
}

fn foreign(generation: u64, seq: u64) -> Entry {
    let mut fields = Fields::default();
    fields.push("eventType", "user.deleted");
    Entry {
        id: EntryId::new(generation, seq),
        fields,
    }
}

/// What the stream of a shard is: entries, and the last id that it ever held.
#[derive(Debug, Clone, Default)]
struct Stream {
    entries: Vec<Entry>,
    last: EntryId,
}

impl Stream {
    fn of(seqs: std::ops::RangeInclusive<u64>) -> Self {
        let entries: Vec<_> = seqs.map(|seq| own(1, seq, &format!("e{seq}"))).collect();
        let last = entries.last().map_or(EntryId::ZERO, |entry| entry.id);
        Self { entries, last }
    }

    fn add(mut self, entry: Entry) -> Self {
        self.last = entry.id;
        self.entries.push(entry);
        self
    }

    fn without(mut self, seqs: impl Fn(u64) -> bool) -> Self {
        self.entries.retain(|entry| !seqs(entry.id.low));
        self
    }

    /// Judged by a database that numbered `e1` to `e{top}`, of which `floor` are settled by all.
    fn judge(&self, top: u64, floor: u64) -> Verdict {
        let id = |seq| match seq {
            0 => EntryId::ZERO,
            seq => EntryId::new(1, seq),
        };
        let event = |seq: u64| EventId::new(format!("e{seq}")).unwrap();
        let expected = (self.last.high == 1 && (1..=top).contains(&self.last.low))
            .then(|| event(self.last.low));
        let top = Checkpoint {
            at: id(top),
            event_id: (top > 0).then(|| event(top)),
        };
        Evidence {
            shard: &shard(),
            top: &top,
            floor: id(floor),
            found: Description {
                length: self.entries.len() as u64,
                added: 0,
                first: self.entries.first().map(|entry| entry.id),
                last: self.last,
            },
            last: self.entries.last().filter(|entry| entry.id == self.last),
            expected: expected.as_ref(),
            beyond: self.entries.iter().find(|entry| entry.id > top.at),
        }
        .judge()
    }
}

fn is_lost(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Repair(Damage::Lost { .. }))
}

#[test]
fn a_stream_that_is_behind_or_level_is_a_prefix() {
    for (stream, top, floor) in [
        (Stream::default(), 0, 0),
        (Stream::default(), 9, 0),
        (Stream::of(1..=4), 9, 0),
        (Stream::of(1..=9), 9, 9),
        (Stream::of(4..=9), 9, 3),
        (Stream::of(4..=9), 9, 7),
        (Stream::of(4..=6), 9, 6),
    ] {
        let expected = Verdict::Prefix(stream.last);
        assert_eq!(stream.judge(top, floor), expected, "{stream:?}");
    }
    // Trimmed to nothing, with everything settled.
    let trimmed = Stream::of(1..=9).without(|_| true);
    assert_eq!(trimmed.judge(9, 9), Verdict::Prefix(EntryId::new(1, 9)));
}

#[test]
fn what_somebody_still_needs_and_is_gone_is_damage() {
    for (stream, floor) in [
        (Stream::default(), 5),
        (Stream::of(1..=3), 5),
        (Stream::of(4..=9), 2),
        (Stream::of(1..=9).without(|_| true), 8),
        (Stream::of(1..=9).without(|seq| seq == 5), 0),
        (Stream::of(1..=9).without(|seq| seq == 9), 0),
    ] {
        assert!(is_lost(&stream.judge(9, floor)), "{stream:?} {floor}");
    }
}

#[test]
fn entries_of_others_are_told_from_a_fork() {
    let level = || Stream::of(1..=4);
    let found = |high, low| {
        Verdict::Repair(Damage::Foreign {
            found: EntryId::new(high, low),
        })
    };
    assert_eq!(level().add(foreign(1, 5)).judge(4, 0), found(1, 5));
    assert_eq!(level().add(foreign(9_999, 0)).judge(4, 0), found(9_999, 0));
    // It took the number that was about to be appended.
    assert_eq!(level().add(foreign(1, 5)).judge(5, 0), found(1, 5));
    let mut raised = level();
    raised.last = EntryId::new(7, 7);
    assert!(matches!(
        raised.judge(4, 0),
        Verdict::Repair(Damage::Raised { .. })
    ));

    let fork = |stream: Stream, top| matches!(stream.judge(top, 0), Verdict::Forked(_));
    assert!(fork(level().add(own(1, 5, "x")), 4));
    assert!(fork(level().add(own(1, 5, "x")), 5));
    assert!(!fork(level().add(own(1, 5, "e5")), 5));
    // Somebody else's behind our own: our own still tells.
    assert!(fork(level().add(own(1, 5, "x")).add(foreign(3, 3)), 4));
}

#[test]
fn what_an_old_generation_left_is_over() {
    let stream = Stream::of(1..=4);
    let evidence = Evidence {
        shard: &shard(),
        top: &Checkpoint {
            at: EntryId::new(2, 0),
            event_id: None,
        },
        floor: EntryId::new(2, 0),
        found: Description {
            length: 4,
            added: 4,
            first: Some(EntryId::new(1, 1)),
            last: stream.last,
        },
        last: stream.entries.last(),
        expected: None,
        beyond: None,
    };
    assert_eq!(evidence.judge(), Verdict::Repair(Damage::Over { found: 1 }));
}

proptest! {
    /// Whatever was removed from a stream of ours: it counts as good only if nothing is missing
    /// between what everybody has settled and where it ends.
    #[test]
    fn a_prefix_holds_everything_above_the_floor(
        length in 0..12_u64,
        ahead in 0..4_u64,
        floor in 0..12_u64,
        removed in prop::collection::btree_set(1..12_u64, 0..6),
    ) {
        let top = length + ahead;
        let floor = floor.min(length);
        let whole = if length == 0 { Stream::default() } else { Stream::of(1..=length) };
        let stream = whole.without(|seq| removed.contains(&seq));
        let needed = (floor + 1..=length).all(|seq| !removed.contains(&seq));
        match stream.judge(top, floor) {
            Verdict::Prefix(last) => {
                prop_assert_eq!(last, stream.last);
                prop_assert!(needed, "something is missing: {stream:?}");
            }
            Verdict::Repair(Damage::Lost { .. }) => {
                // Holes below the floor are mended too: nobody can tell them from others by length.
                prop_assert!(!removed.is_empty());
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
