//! Whether an application may follow a publisher's stream now, and from where.
//!
//! Pure: [`service`](super::service) asks with every look at the descriptors.

use std::collections::HashMap;

use millstream_core::acknowledgment::Registration;
use millstream_core::descriptor::{Bounds, Descriptor};
use millstream_core::entry::{EntryId, Shard};
use millstream_core::name::{AppName, DatabaseId};

/// What a descriptor says about one of its shards, to whoever works on that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Announced {
    /// The publisher's current generation.
    pub(super) generation: u64,
    /// What the shard holds.
    pub(super) bounds: Bounds,
    /// We follow what comes after this.
    pub(super) base: EntryId,
    /// What the publisher knows us to have settled.
    pub(super) settled: EntryId,
}

/// How an application stands to a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stance {
    /// It is registered: each shard may be read.
    Follow(Vec<Announced>),
    /// It has to be registered first, or anew.
    Register {
        reason: Registration,
        checkpoints: Vec<EntryId>,
    },
    /// Another database is registered in its name.
    Held(DatabaseId),
    /// The beginning is gone.
    Late { base: EntryId, shard: u16 },
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Follower<'a> {
    pub(super) application: &'a AppName,
    pub(super) database: &'a DatabaseId,
    /// Read after the descriptor was.
    pub(super) checkpoints: &'a HashMap<Shard, EntryId>,
    pub(super) take_over: bool,
    /// Whether to follow from what there is, though the beginning is gone.
    pub(super) from_oldest: bool,
}

impl Follower<'_> {
    pub(super) fn stance(&self, descriptor: &Descriptor) -> Stance {
        let checkpoints: Vec<EntryId> = descriptor
            .shards()
            .map(|shard| self.checkpoints.get(&shard).copied().unwrap_or_default())
            .collect();
        let register = |reason| Stance::Register {
            reason,
            checkpoints: checkpoints.clone(),
        };
        let Some(known) = descriptor.subscriber(self.application) else {
            return register(Registration::New);
        };
        if known.database != *self.database {
            return if self.take_over {
                register(Registration::TakeOver)
            } else {
                Stance::Held(known.database.clone())
            };
        }
        let places = || known.shards.iter().zip(&checkpoints);
        // A place at seq 0 only says that a generation has begun.
        let is_behind = places()
            .any(|(place, &at)| place.settled.low > 0 && place.settled > at.max(place.base));
        if is_behind {
            return register(Registration::Rewound);
        }
        // Of a shard that it has read before, it notices by itself what is gone.
        let late = places().position(|(place, &at)| {
            at == EntryId::ZERO && place.base.low > 0 && !self.from_oldest
        });
        let late = late.or_else(|| {
            let mut shards = descriptor.bounds.iter().zip(&checkpoints);
            let is_late = |(bounds, at): (&Bounds, &EntryId)| {
                *at == EntryId::ZERO && bounds.left_behind > *at && !self.from_oldest
            };
            shards.position(is_late)
        });
        if let Some(shard) = late {
            return Stance::Late {
                base: known.shards[shard].base.max(
                    descriptor
                        .bounds
                        .get(shard)
                        .map_or(EntryId::ZERO, |bounds| bounds.left_behind),
                ),
                shard: u16::try_from(shard).unwrap_or(u16::MAX),
            };
        }
        let announced = known
            .shards
            .iter()
            .enumerate()
            .map(|(index, place)| Announced {
                generation: descriptor.generation,
                bounds: descriptor.bounds.get(index).cloned().unwrap_or_default(),
                base: place.base,
                settled: place.settled,
            });
        Stance::Follow(announced.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use millstream_core::descriptor::{Subscriber, Subscription};
    use millstream_core::name::StreamName;

    fn id(text: &str) -> EntryId {
        text.parse().unwrap()
    }

    fn place(base: &str, settled: &str) -> Subscription {
        Subscription {
            base: id(base),
            settled: id(settled),
        }
    }

    fn descriptor(registered: &[(&str, &str, Subscription)]) -> Descriptor {
        Descriptor {
            stream: StreamName::new("events").unwrap(),
            owner: AppName::new("crm").unwrap(),
            database: DatabaseId::new("d1").unwrap(),
            shards: 1,
            generation: 2,
            count: 1,
            bounds: vec![Bounds::default()],
            subscribers: registered
                .iter()
                .map(|(application, database, place)| Subscriber {
                    application: AppName::new(application).unwrap(),
                    database: DatabaseId::new(database).unwrap(),
                    shards: vec![*place],
                })
                .collect(),
        }
    }

    fn stance(descriptor: &Descriptor, checkpoint: &str, choices: (bool, bool)) -> Stance {
        let shard = descriptor.shards().next().unwrap();
        Follower {
            application: &AppName::new("hr").unwrap(),
            database: &DatabaseId::new("mine").unwrap(),
            checkpoints: &HashMap::from([(shard, id(checkpoint))]),
            take_over: choices.0,
            from_oldest: choices.1,
        }
        .stance(descriptor)
    }

    fn registers(stance: Stance) -> Option<Registration> {
        match stance {
            Stance::Register { reason, .. } => Some(reason),
            _ => None,
        }
    }

    const NO: (bool, bool) = (false, false);

    #[test]
    fn nothing_is_read_before_the_registration_shows() {
        let nobody = descriptor(&[("billing", "mine", place("0-0", "0-0"))]);
        assert_eq!(
            registers(stance(&nobody, "0-0", NO)),
            Some(Registration::New)
        );
        let mine = descriptor(&[("hr", "mine", place("0-0", "1-5"))]);
        assert!(matches!(stance(&mine, "1-5", NO), Stance::Follow(_)));
        assert!(matches!(stance(&mine, "1-9", NO), Stance::Follow(_)));
    }

    #[test]
    fn a_database_that_went_back_says_so_first() {
        let mine = descriptor(&[("hr", "mine", place("0-0", "1-5"))]);
        assert_eq!(
            registers(stance(&mine, "1-4", NO)),
            Some(Registration::Rewound)
        );
        assert_eq!(
            registers(stance(&mine, "0-0", NO)),
            Some(Registration::Rewound)
        );
        let begun = descriptor(&[("hr", "mine", place("0-0", "2-0"))]);
        assert!(matches!(stance(&begun, "1-5", NO), Stance::Follow(_)));
        let moved = descriptor(&[("hr", "mine", place("0-0", "2-1"))]);
        assert_eq!(
            registers(stance(&moved, "1-5", NO)),
            Some(Registration::Rewound)
        );
    }

    #[test]
    fn a_copy_or_a_new_database_is_held_off() {
        let other = descriptor(&[("hr", "other", place("0-0", "1-5"))]);
        assert_eq!(
            stance(&other, "0-0", NO),
            Stance::Held(DatabaseId::new("other").unwrap())
        );
        assert_eq!(
            registers(stance(&other, "0-0", (true, false))),
            Some(Registration::TakeOver)
        );
    }

    #[test]
    fn a_late_comer_is_told_that_the_beginning_is_gone() {
        let late = descriptor(&[("hr", "mine", place("1-100", "1-100"))]);
        assert!(matches!(stance(&late, "0-0", NO), Stance::Late { .. }));
        assert!(matches!(
            stance(&late, "0-0", (false, true)),
            Stance::Follow(_)
        ));
        assert!(matches!(stance(&late, "1-120", NO), Stance::Follow(_)));
    }
}
