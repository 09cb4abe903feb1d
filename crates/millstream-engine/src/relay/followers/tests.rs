use std::collections::BTreeMap;

use proptest::prelude::*;

use millstream_core::name::StreamName;

use super::*;

fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

fn tops(seq: u64) -> Vec<Checkpoint> {
    vec![
        Checkpoint {
            at: EntryId::new(1, seq),
            event_id: None,
        };
        2
    ]
}

fn said(application: &str, database: &str, message: Message) -> Acknowledgment {
    Acknowledgment {
        application: app(application),
        database: DatabaseId::new(database).unwrap(),
        stream: StreamName::new("events").unwrap(),
        message,
    }
}

fn register(reason: Registration, seq: u64) -> Message {
    Message::Register {
        reason,
        checkpoints: vec![EntryId::new(1, seq); 2],
    }
}

fn receipt(shard: u16, seq: u64) -> Message {
    Message::Receipt(Receipt {
        shard,
        settled: Checkpoint {
            at: EntryId::new(1, seq),
            event_id: None,
        },
        ..Receipt::default()
    })
}

/// Hears a message, and writes what a relay would write.
fn tell(followers: &mut Followers, message: &Acknowledgment, top: u64) -> Heard {
    let heard = followers.hear(&app("crm"), message, &tops(top));
    if let Heard::Registration(row) = &heard {
        followers.registered(row.clone());
    }
    heard
}

fn followed_by_hr(pruned: u64) -> Followers {
    let mut followers = Followers::new(Vec::new(), vec![EntryId::new(1, pruned); 2], 2);
    let new = said("hr", "d1", register(Registration::New, 0));
    assert!(matches!(
        tell(&mut followers, &new, 9),
        Heard::Registration(_)
    ));
    followers
}

fn settled(followers: &Followers) -> u64 {
    followers.settled_by_all(0).unwrap().low
}

#[test]
fn a_new_follower_begins_with_what_the_outbox_still_has() {
    let followers = followed_by_hr(3);
    let announced = followers.announced();
    assert_eq!(announced[0].shards[0].base, EntryId::new(1, 3));
    assert_eq!(settled(&followers), 3);
    assert_eq!(followers.floor(0, EntryId::new(1, 9)), EntryId::new(1, 3));
}

#[test]
fn receipts_only_raise() {
    let mut followers = followed_by_hr(0);
    for (seq, expected) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
        tell(&mut followers, &said("hr", "d1", receipt(0, seq)), 9);
        assert_eq!(settled(&followers), expected);
    }
    assert_eq!(followers.unwritten().len(), 1);
    followers.written();
    tell(&mut followers, &said("hr", "d1", receipt(0, 9)), 9);
    assert!(followers.unwritten().is_empty(), "nothing new was said");
}

#[test]
fn another_database_moves_nothing() {
    let mut followers = followed_by_hr(0);
    tell(&mut followers, &said("hr", "d1", receipt(0, 4)), 9);
    let before = followers.clone();
    for message in [
        receipt(0, 7),
        register(Registration::New, 7),
        register(Registration::Rewound, 1),
        Message::Repair {
            shard: 0,
            after: EntryId::ZERO,
        },
    ] {
        let heard = tell(&mut followers, &said("hr", "clone", message), 9);
        assert_eq!(heard, Heard::Rejected(Rejection::Database));
    }
    for message in [receipt(0, 7), receipt(7, 7)] {
        let heard = tell(&mut followers, &said("nobody", "d9", message), 9);
        assert_eq!(heard, Heard::Rejected(Rejection::Unknown));
    }
    let own = tell(&mut followers, &said("crm", "d0", receipt(0, 7)), 9);
    assert_eq!(own, Heard::Rejected(Rejection::Owner));
    assert_eq!(followers, before);
}

#[test]
fn only_a_restored_follower_moves_back() {
    let mut followers = followed_by_hr(0);
    tell(&mut followers, &said("hr", "d1", receipt(0, 8)), 9);
    let again = said("hr", "d1", register(Registration::New, 5));
    assert_eq!(tell(&mut followers, &again, 9), Heard::Nothing);
    assert_eq!(settled(&followers), 8);
    let rewound = said("hr", "d1", register(Registration::Rewound, 5));
    assert!(matches!(
        tell(&mut followers, &rewound, 9),
        Heard::Registration(_)
    ));
    assert_eq!(settled(&followers), 5);
    assert_eq!(tell(&mut followers, &rewound, 9), Heard::Nothing);
}

#[test]
fn a_take_over_puts_another_database_in_the_place_of_the_first() {
    let mut followers = followed_by_hr(0);
    tell(&mut followers, &said("hr", "d1", receipt(0, 8)), 9);
    let taken = said("hr", "d2", register(Registration::TakeOver, 2));
    assert!(matches!(
        tell(&mut followers, &taken, 9),
        Heard::Registration(_)
    ));
    assert_eq!(settled(&followers), 2);
    let old = tell(&mut followers, &said("hr", "d1", receipt(0, 9)), 9);
    assert_eq!(old, Heard::Rejected(Rejection::Database));
}

#[test]
fn whoever_knows_more_than_the_database_shows_a_fork() {
    let mut followers = followed_by_hr(0);
    let before = followers.clone();
    let ahead = Heard::Ahead {
        shard: 0,
        settled: EntryId::new(1, 10),
    };
    assert_eq!(
        tell(&mut followers, &said("hr", "d1", receipt(0, 10)), 9),
        ahead
    );
    let new = said("billing", "d2", register(Registration::New, 10));
    assert_eq!(tell(&mut followers, &new, 9), ahead);
    assert_eq!(followers, before);
}

#[test]
fn nobody_registered_needs_everything_that_there_is() {
    let followers = Followers::new(Vec::new(), vec![EntryId::new(1, 3)], 1);
    assert_eq!(followers.settled_by_all(0), None);
    assert_eq!(followers.floor(0, EntryId::new(1, 9)), EntryId::new(1, 3));
    assert_eq!(followers.floor(0, EntryId::new(2, 4)), EntryId::new(2, 0));
}

#[derive(Debug, Clone)]
enum Step {
    /// A follower settles up to here, and says so; or what it said is lost.
    Settle { who: usize, seq: u64, heard: bool },
    /// Somebody else speaks in its name.
    Forge { who: usize, seq: u64 },
    /// Its database goes back to here.
    Restore { who: usize, seq: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..3_usize, 1..50_u64);
    prop_oneof![
        6 => (place(), any::<bool>()).prop_map(|((who, seq), heard)| Step::Settle { who, seq, heard }),
        1 => place().prop_map(|(who, seq)| Step::Forge { who, seq }),
        1 => place().prop_map(|(who, seq)| Step::Restore { who, seq }),
    ]
}

proptest! {
    /// Whatever is said, lost, forged or repeated: the floor is never above what some follower has.
    #[test]
    fn the_floor_is_below_every_follower(steps in prop::collection::vec(step(), 0..60)) {
        const NAMES: [&str; 3] = ["hr", "billing", "affiliate"];
        let mut followers = Followers::new(Vec::new(), Vec::new(), 2);
        let mut real: BTreeMap<usize, u64> = BTreeMap::new();
        for (who, name) in NAMES.iter().enumerate() {
            tell(&mut followers, &said(name, name, register(Registration::New, 0)), 50);
            real.insert(who, 0);
        }
        for step in steps {
            match step {
                Step::Settle { who, seq, heard } => {
                    let at = real.get_mut(&who).unwrap();
                    *at = (*at).max(seq);
                    if heard {
                        let message = said(NAMES[who], NAMES[who], receipt(0, *at));
                        tell(&mut followers, &message, 50);
                    }
                }
                Step::Forge { who, seq } => {
                    tell(&mut followers, &said(NAMES[who], "forged", receipt(0, seq)), 50);
                }
                Step::Restore { who, seq } => {
                    let at = real.get_mut(&who).unwrap();
                    *at = (*at).min(seq);
                    // It says so before it reads anything.
                    let message = said(NAMES[who], NAMES[who], register(Registration::Rewound, *at));
                    tell(&mut followers, &message, 50);
                }
            }
            let floor = followers.floor(0, EntryId::new(1, 50)).low;
            let lowest = real.values().min().copied().unwrap();
            prop_assert!(floor <= lowest, "floor {floor}, the last follower is at {lowest}");
        }
    }
}
