//! Names and ids, each its own type, so that no two can be swapped by mistake.

use std::fmt;
use std::sync::Arc;

use crate::limits::{ID_BYTES_MAX, NAME_BYTES_MAX};

/// Why a text is not a valid name or id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// The text is longer than its kind allows.
    #[error("{what} has {bytes} bytes, at most {max} are allowed")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// The length found.
        bytes: usize,
        /// The length allowed.
        max: usize,
    },
    /// The text contains something that its kind does not allow.
    #[error("{what} contains {found:?}, allowed are {allowed}")]
    Character {
        /// The kind of name.
        what: &'static str,
        /// The first offending character.
        found: char,
        /// What may be used instead.
        allowed: &'static str,
    },
}

fn check_length(what: &'static str, text: &str, max: usize) -> Result<(), Error> {
    match text.len() {
        0 => Err(Error::Empty { what }),
        bytes if bytes > max => Err(Error::TooLong { what, bytes, max }),
        _ => Ok(()),
    }
}

/// Names are parts of stream keys, group names and file names.
fn check_name(what: &'static str, text: &str) -> Result<(), Error> {
    check_length(what, text, NAME_BYTES_MAX)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    match text.chars().find(|&c| !allowed(c)) {
        Some(found) => Err(Error::Character {
            what,
            found,
            allowed: "letters, digits and -_.:",
        }),
        None => Ok(()),
    }
}

/// Ids belong to the applications: anything goes but NUL, which PostgreSQL cannot store in text.
fn check_id(what: &'static str, text: &str) -> Result<(), Error> {
    check_length(what, text, ID_BYTES_MAX)?;
    if text.contains('\0') {
        return Err(Error::Character {
            what,
            found: '\0',
            allowed: "all characters but NUL",
        });
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            ///
            /// Fails when the text is empty, too long, or contains a character that is not allowed.
            pub fn new(text: impl AsRef<str>) -> Result<Self, Error> {
                let text = text.as_ref();
                $check($what, text)?;
                Ok(Self(text.into()))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::new(text)
            }
        }
    };
}

text_type! {
    /// The name of an application, and of its consumer group.
    AppName, "application name", check_name
}
text_type! {
    /// The name of a stream as configuration and commands know it, without application or shard.
    StreamName, "stream name", check_name
}
text_type! {
    /// One running process of an application.
    InstanceId, "instance id", check_name
}
text_type! {
    /// What happened, such as `user.created`.
    EventType, "event type", check_id
}
text_type! {
    /// The identity of an event, made by its publisher.
    EventId, "event id", check_id
}
text_type! {
    /// The customer that an event belongs to. Part of every key.
    TenantId, "tenant id", check_id
}
text_type! {
    /// The entity that an event is about.
    EntityId, "entity id", check_id
}
text_type! {
    /// What must stay in order: the entity id, unless the publisher says otherwise.
    PartitionKey, "partition key", check_id
}
text_type! {
    /// The identity of a database, made when its tables are.
    DatabaseId, "database id", check_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_keys_and_files_cannot_hold() {
        assert!(AppName::new("crm").is_ok());
        assert!(StreamName::new("crm:sync:user").is_ok());
        for bad in ["", "a b", "a/b", "a{b}", "é", &"x".repeat(65)] {
            assert!(AppName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_keep_every_byte() {
        for id in [
            "7",
            "A",
            "a",
            "a ",
            "Ünïcode",
            "O'Brien; --",
            &"x".repeat(255),
        ] {
            assert_eq!(EntityId::new(id).unwrap().as_str(), id);
        }
        assert!(EntityId::new("a\0b").is_err());
        assert!(EntityId::new("x".repeat(256)).is_err());
    }
}
