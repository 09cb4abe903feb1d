//! What followers of a stream tell its owner, on `acknowledgments:{owner}`.
//!
//! None of it is a command that must arrive: receipts are cumulative, so that a lost one is healed by
//! the next; registrations and requests are made again until they show.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::delivery::Outcome;
use crate::entry::{EntryId, Fields};
use crate::lease::Checkpoint;
use crate::limits::{EXCEPTIONS_MAX, SHARDS_MAX};
use crate::name::{AppName, DatabaseId, StreamName};

/// A message of a follower to the owner of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgment {
    /// The follower.
    pub application: AppName,
    /// Its database.
    pub database: DatabaseId,
    /// The owner's stream.
    pub stream: StreamName,
    /// What it says.
    pub message: Message,
}

/// What a follower says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// It wants to follow the stream.
    Register {
        /// Under which circumstances.
        reason: Registration,
        /// Its checkpoints, for each shard in their order; what is missing is at the beginning.
        checkpoints: Vec<EntryId>,
    },
    /// It has settled a shard up to here, with these exceptions.
    Receipt(Receipt),
    /// It waits for an entry of a shard that is not there.
    Repair {
        /// The shard.
        shard: u16,
        /// It needs what comes after this.
        after: EntryId,
    },
}

/// Why an application registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is not registered yet.
    New,
    /// Its database was restored: it is further back than it said before.
    Rewound,
    /// A person said that its database takes the place of the registered one.
    TakeOver,
}

/// How far a follower has settled a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The shard.
    pub shard: u16,
    /// Everything up to here is settled.
    pub settled: Checkpoint,
    /// Events up to there that are not processed, at most [`EXCEPTIONS_MAX`].
    pub exceptions: Vec<Exception>,
    /// How many exceptions there are besides.
    pub omitted: u64,
}

/// An event that was taken over into the follower's database, but is not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its place in the shard.
    pub at: EntryId,
    /// Retrying, blocked or dead.
    pub outcome: Outcome,
    /// Tries so far.
    pub attempts: u32,
    /// Why, in words that hold no value of it.
    pub reason: String,
}

mod field {
    pub(super) const KIND: &str = "kind";
    pub(super) const APPLICATION: &str = "application";
    pub(super) const DATABASE: &str = "database";
    pub(super) const STREAM: &str = "stream";
    pub(super) const REASON: &str = "reason";
    pub(super) const CHECKPOINTS: &str = "checkpoints";
    pub(super) const SHARD: &str = "shard";
    pub(super) const SETTLED: &str = "settled";
    pub(super) const EVENT: &str = "eventId";
    pub(super) const EXCEPTIONS: &str = "exceptions";
    pub(super) const OMITTED: &str = "omitted";
    pub(super) const AFTER: &str = "after";
}

/// Fields that are no acknowledgment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an acknowledgment: {0}")]
pub struct Error(String);

impl Registration {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Rewound => "rewound",
            Self::TakeOver => "take-over",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::New, Self::Rewound, Self::TakeOver]
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }
}

impl Acknowledgment {
    /// The fields of its entry.
    pub fn encode(&self) -> Fields {
        let mut fields = Fields::with_capacity(10);
        let mut push = |name: &'static str, value: String| fields.push(name, value);
        push(field::APPLICATION, self.application.to_string());
        push(field::DATABASE, self.database.to_string());
        push(field::STREAM, self.stream.to_string());
        match &self.message {
            Message::Register {
                reason,
                checkpoints,
            } => {
                let ids: Vec<String> = checkpoints.iter().map(EntryId::to_string).collect();
                push(field::KIND, "register".into());
                push(field::REASON, reason.as_str().into());
                push(field::CHECKPOINTS, ids.join(","));
            }
            Message::Receipt(receipt) => {
                push(field::KIND, "receipt".into());
                push(field::SHARD, receipt.shard.to_string());
                push(field::SETTLED, receipt.settled.at.to_string());
                if let Some(id) = &receipt.settled.event_id {
                    push(field::EVENT, id.to_string());
                }
                if !receipt.exceptions.is_empty() {
                    let forms: Vec<_> = receipt.exceptions.iter().map(Form::of).collect();
                    let json = serde_json::to_string(&forms)
                        .expect("texts and numbers can be written as JSON");
                    push(field::EXCEPTIONS, json);
                }
                if receipt.omitted > 0 {
                    push(field::OMITTED, receipt.omitted.to_string());
                }
            }
            Message::Repair { shard, after } => {
                push(field::KIND, "repair".into());
                push(field::SHARD, shard.to_string());
                push(field::AFTER, after.to_string());
            }
        }
        fields
    }

    /// Reads fields that anybody may have written.
    ///
    /// # Errors
    ///
    /// Fails when they are no acknowledgment; nothing of them is repeated.
    pub fn decode(fields: &Fields) -> Result<Self, Error> {
        let message = match text(fields, field::KIND)? {
            "register" => {
                let ids = text(fields, field::CHECKPOINTS)?;
                let checkpoints: Vec<EntryId> = ids
                    .split(',')
                    .filter(|id| !id.is_empty())
                    .map(|id| id.parse().map_err(|_| wrong(field::CHECKPOINTS)))
                    .collect::<Result<_, _>>()?;
                if checkpoints.len() > usize::from(SHARDS_MAX) {
                    return Err(wrong(field::CHECKPOINTS));
                }
                Message::Register {
                    reason: Registration::parse(text(fields, field::REASON)?)
                        .ok_or_else(|| wrong(field::REASON))?,
                    checkpoints,
                }
            }
            "receipt" => Message::Receipt(Receipt {
                shard: parsed(fields, field::SHARD)?,
                settled: Checkpoint {
                    at: parsed(fields, field::SETTLED)?,
                    event_id: optional(fields, field::EVENT)?,
                },
                exceptions: exceptions(fields.get(field::EXCEPTIONS))?,
                omitted: optional(fields, field::OMITTED)?.unwrap_or(0),
            }),
            "repair" => Message::Repair {
                shard: parsed(fields, field::SHARD)?,
                after: parsed(fields, field::AFTER)?,
            },
            _ => return Err(wrong(field::KIND)),
        };
        Ok(Self {
            application: parsed(fields, field::APPLICATION)?,
            database: parsed(fields, field::DATABASE)?,
            stream: parsed(fields, field::STREAM)?,
            message,
        })
    }
}

fn wrong(field: &str) -> Error {
    Error(format!("field {field} is missing or wrong"))
}

fn text<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Error> {
    let value = fields.get(name).ok_or_else(|| wrong(name))?;
    std::str::from_utf8(value).map_err(|_| wrong(name))
}

fn parsed<T: std::str::FromStr>(fields: &Fields, name: &'static str) -> Result<T, Error> {
    text(fields, name)?.parse().map_err(|_| wrong(name))
}

fn optional<T: std::str::FromStr>(fields: &Fields, name: &'static str) -> Result<Option<T>, Error> {
    fields.get(name).map(|_| parsed(fields, name)).transpose()
}

#[derive(Serialize, Deserialize)]
struct Form {
    at: String,
    outcome: String,
    attempts: u32,
    reason: String,
}

impl Form {
    fn of(exception: &Exception) -> Self {
        Self {
            at: exception.at.to_string(),
            outcome: exception.outcome.as_str().into(),
            attempts: exception.attempts,
            reason: exception.reason.clone(),
        }
    }
}

fn exceptions(json: Option<&Bytes>) -> Result<Vec<Exception>, Error> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    let wrong = || wrong(field::EXCEPTIONS);
    let forms: Vec<Form> = serde_json::from_slice(json).map_err(|_| wrong())?;
    if forms.len() > EXCEPTIONS_MAX {
        return Err(wrong());
    }
    forms
        .into_iter()
        .map(|form| {
            Ok(Exception {
                at: form.at.parse().map_err(|_| wrong())?,
                outcome: Outcome::parse(&form.outcome).ok_or_else(wrong)?,
                attempts: form.attempts,
                reason: crate::delivery::Reason::new(form.reason).as_str().into(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::EventId;

    fn check(message: Message) -> Fields {
        let acknowledgment = Acknowledgment {
            application: AppName::new("hr").unwrap(),
            database: DatabaseId::new("d1").unwrap(),
            stream: StreamName::new("events").unwrap(),
            message,
        };
        let fields = acknowledgment.encode();
        assert_eq!(Acknowledgment::decode(&fields), Ok(acknowledgment));
        fields
    }

    #[test]
    fn messages_read_back() {
        for reason in [
            Registration::New,
            Registration::Rewound,
            Registration::TakeOver,
        ] {
            for checkpoints in [vec![], vec![EntryId::ZERO], vec![EntryId::new(1, 7); 3]] {
                check(Message::Register {
                    reason,
                    checkpoints,
                });
            }
        }
        check(Message::Repair {
            shard: 3,
            after: EntryId::new(1, 9),
        });
        check(Message::Receipt(Receipt::default()));
        check(Message::Receipt(Receipt {
            shard: 3,
            settled: Checkpoint {
                at: EntryId::new(2, 8),
                event_id: EventId::new("e\"8").ok(),
            },
            exceptions: vec![Exception {
                at: EntryId::new(2, 4),
                outcome: Outcome::Dead,
                attempts: 1,
                reason: "column \"name\" takes text".into(),
            }],
            omitted: 12,
        }));
    }

    #[test]
    fn what_anybody_wrote_is_checked() {
        let good = check(Message::Receipt(Receipt::default()));
        for (name, _) in good.iter() {
            let without: Fields = good
                .iter()
                .filter(|(other, _)| *other != name)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            assert!(Acknowledgment::decode(&without).is_err(), "{name:?}");
            let broken: Fields = good
                .iter()
                .map(|(other, value)| {
                    let hostile = Bytes::from_static(b"\xff secret");
                    (
                        other.clone(),
                        if other == name {
                            hostile
                        } else {
                            value.clone()
                        },
                    )
                })
                .collect();
            let error = Acknowledgment::decode(&broken).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
