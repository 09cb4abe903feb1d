//! What an application announces about a stream that it owns.
//!
//! The publisher's database is the truth; this is its announcement, made again every few seconds.

use serde::{Deserialize, Serialize};

use crate::entry::{EntryId, Shard};
use crate::lease::Checkpoint;
use crate::name::{self, AppName, DatabaseId, EventId, StreamName};

/// A stream, its owner, where its shards begin and end, and who is registered to follow them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The stream.
    pub stream: StreamName,
    /// The application that owns the shards.
    pub owner: AppName,
    /// Its database.
    pub database: DatabaseId,
    /// How many shards there are.
    pub shards: u16,
    /// The current generation.
    pub generation: u64,
    /// Another number each time that it is announced, so that a new word can be told from an old one.
    pub count: u64,
    /// What each shard holds, in their order; empty until its relay has looked.
    pub bounds: Vec<Bounds>,
    /// Who follows the stream, by name.
    pub subscribers: Vec<Subscriber>,
}

/// Where a shard begins and ends, as its owner's database says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Entries up to here may be gone: every subscriber has settled them.
    pub floor: EntryId,
    /// The owner's database has nothing up to here any more: no new generation can bring it again.
    pub pruned: EntryId,
    /// The last event that was numbered.
    pub top: Checkpoint,
    /// Events of older generations up to here are not in the current one: every subscriber had settled
    /// them when it began.
    pub left_behind: EntryId,
}

/// An application that is registered as a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// The application.
    pub application: AppName,
    /// The database that holds its checkpoints. Others in its name are rejected.
    pub database: DatabaseId,
    /// How far it is, for each shard in their order.
    pub shards: Vec<Subscription>,
}

/// A subscriber's place in one shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subscription {
    /// It follows what comes after this.
    pub base: EntryId,
    /// Everything up to here is settled.
    pub settled: EntryId,
}

impl Descriptor {
    /// The shards of the stream.
    pub fn shards(&self) -> impl Iterator<Item = Shard> + '_ {
        (0..self.shards).map(|number| Shard {
            stream: self.stream.clone(),
            owner: self.owner.clone(),
            number,
        })
    }

    /// The same with an application registered that follows all shards from the beginning, in the
    /// place of an earlier registration: for whoever plays a publisher.
    #[must_use]
    pub fn with_subscriber(mut self, application: &AppName, database: &DatabaseId) -> Self {
        self.subscribers
            .retain(|subscriber| subscriber.application != *application);
        self.subscribers.push(Subscriber {
            application: application.clone(),
            database: database.clone(),
            shards: vec![Subscription::default(); usize::from(self.shards)],
        });
        self
    }

    /// What an application says of a stream before anybody has registered or anything was sent.
    pub fn new(stream: StreamName, owner: AppName, database: DatabaseId, shards: u16) -> Self {
        Self {
            stream,
            owner,
            database,
            shards,
            generation: 1,
            count: 0,
            bounds: Vec::new(),
            subscribers: Vec::new(),
        }
    }

    /// The registration of an application, if there is one.
    pub fn subscriber(&self, application: &AppName) -> Option<&Subscriber> {
        self.subscribers
            .iter()
            .find(|subscriber| subscriber.application == *application)
    }

    /// The text that transports keep: JSON, readable to people too.
    pub fn to_json(&self) -> String {
        let text = |id: &EntryId| id.to_string();
        let form = Form {
            stream: self.stream.to_string(),
            owner: self.owner.to_string(),
            database: self.database.to_string(),
            shards: self.shards,
            generation: self.generation,
            count: self.count,
            bounds: self
                .bounds
                .iter()
                .map(|bounds| BoundsForm {
                    floor: text(&bounds.floor),
                    top: text(&bounds.top.at),
                    event: bounds.top.event_id.as_ref().map(EventId::to_string),
                    left: (bounds.left_behind != EntryId::ZERO).then(|| text(&bounds.left_behind)),
                    pruned: (bounds.pruned != EntryId::ZERO).then(|| text(&bounds.pruned)),
                })
                .collect(),
            subscribers: self
                .subscribers
                .iter()
                .map(|subscriber| SubscriberForm {
                    application: subscriber.application.to_string(),
                    database: subscriber.database.to_string(),
                    base: subscriber.shards.iter().map(|s| text(&s.base)).collect(),
                    settled: subscriber.shards.iter().map(|s| text(&s.settled)).collect(),
                })
                .collect(),
        };
        serde_json::to_string(&form).expect("texts and numbers can be written as JSON")
    }

    /// Reads the text back. Members that are not known are left out, missing lists are empty.
    ///
    /// # Errors
    ///
    /// Fails when the text is not a descriptor.
    pub fn from_json(text: &[u8]) -> Result<Self, Error> {
        let form: Form = serde_json::from_slice(text).map_err(|error| Error(error.to_string()))?;
        let id = |text: &String| text.parse::<EntryId>().map_err(|_| Error::wrong("an id"));
        let maybe = |text: &Option<String>| match text {
            Some(text) => id(text),
            None => Ok(EntryId::ZERO),
        };
        let bounds = form.bounds.iter().map(|bounds| {
            Ok(Bounds {
                floor: id(&bounds.floor)?,
                top: Checkpoint {
                    at: id(&bounds.top)?,
                    event_id: bounds.event.as_ref().map(EventId::new).transpose()?,
                },
                left_behind: maybe(&bounds.left)?,
                pruned: maybe(&bounds.pruned)?,
            })
        });
        let subscribers = form.subscribers.iter().map(|subscriber| {
            let places = subscriber.base.iter().zip(&subscriber.settled);
            Ok(Subscriber {
                application: AppName::new(&subscriber.application)?,
                database: DatabaseId::new(&subscriber.database)?,
                shards: places
                    .map(|(base, settled)| {
                        Ok(Subscription {
                            base: id(base)?,
                            settled: id(settled)?,
                        })
                    })
                    .collect::<Result<_, Error>>()?,
            })
        });
        Ok(Self {
            stream: StreamName::new(&form.stream)?,
            owner: AppName::new(&form.owner)?,
            database: DatabaseId::new(&form.database)?,
            shards: form.shards,
            generation: form.generation,
            count: form.count,
            bounds: bounds.collect::<Result<_, Error>>()?,
            subscribers: subscribers.collect::<Result<_, Error>>()?,
        })
    }
}

/// A text that is not a descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a publisher's descriptor: {0}")]
pub struct Error(String);

impl Error {
    fn wrong(what: &str) -> Self {
        Self(format!("{what} is not one"))
    }
}

impl From<name::Error> for Error {
    fn from(error: name::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct Form {
    stream: String,
    owner: String,
    database: String,
    shards: u16,
    generation: u64,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    bounds: Vec<BoundsForm>,
    #[serde(default)]
    subscribers: Vec<SubscriberForm>,
}

#[derive(Serialize, Deserialize)]
struct BoundsForm {
    floor: String,
    top: String,
    event: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pruned: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SubscriberForm {
    application: String,
    database: String,
    base: Vec<String>,
    settled: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> Descriptor {
        Descriptor {
            stream: StreamName::new("events").unwrap(),
            owner: AppName::new("crm").unwrap(),
            database: DatabaseId::new("d\"1").unwrap(),
            shards: 2,
            generation: 3,
            count: 9,
            bounds: vec![
                Bounds {
                    floor: EntryId::new(3, 7),
                    top: Checkpoint {
                        at: EntryId::new(3, u64::MAX),
                        event_id: EventId::new("e").ok(),
                    },
                    left_behind: EntryId::new(2, 5),
                    pruned: EntryId::new(3, 4),
                },
                Bounds::default(),
            ],
            subscribers: vec![Subscriber {
                application: AppName::new("hr").unwrap(),
                database: DatabaseId::new("d2").unwrap(),
                shards: vec![
                    Subscription {
                        base: EntryId::ZERO,
                        settled: EntryId::new(3, 7),
                    },
                    Subscription::default(),
                ],
            }],
        }
    }

    #[test]
    fn reads_back() {
        let text = descriptor().to_json();
        assert_eq!(Descriptor::from_json(text.as_bytes()), Ok(descriptor()));
    }

    /// The form of the first wire version, kept for ever.
    #[test]
    fn the_stored_form_is_stable() {
        assert_eq!(
            descriptor().to_json(),
            r#"{"stream":"events","owner":"crm","database":"d\"1","shards":2,"generation":3,"count":9,"bounds":[{"floor":"3-7","top":"3-18446744073709551615","event":"e","left":"2-5","pruned":"3-4"},{"floor":"0-0","top":"0-0","event":null}],"subscribers":[{"application":"hr","database":"d2","base":["0-0","0-0"],"settled":["3-7","0-0"]}]}"#
        );
        let plain = br#"{"stream":"s","owner":"crm","database":"d","shards":1,"generation":1,"later":true}"#;
        assert_eq!(Descriptor::from_json(plain).unwrap().bounds, []);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "\u{1}",
            r#"{"stream":"s","owner":"a b","database":"d","shards":1,"generation":1}"#,
        ] {
            assert!(Descriptor::from_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
