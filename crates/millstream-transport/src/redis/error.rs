//! What replies and broken connections mean.

use std::fmt;

use redis::ServerError;

use millstream_core::error::{Error, ErrorKind};

/// What to do about an error reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The server cannot do it now. Wait, and ask the same server again.
    Wait,
    /// It takes nothing that needs memory until something is removed.
    Full,
    /// It is not, or no longer, the one to ask. Wait, and find out who is.
    Elsewhere,
    /// Another node of the Cluster has the key.
    Moved,
    /// Another node of the Cluster has this key already.
    Ask,
    /// Key or group are gone, or were made anew. Make the group again, and look again.
    NoGroup,
    /// The group is there already.
    Exists,
    /// It does not remember the script.
    NoScript,
    /// A person has to mend it.
    Misconfigured,
    /// It will never take this.
    Invalid,
}

/// Judges an error reply: the one place that knows their texts.
pub(super) fn classify(code: &str, text: &str) -> Class {
    match code {
        "OOM" => Class::Full,
        "LOADING" | "BUSY" | "MISCONF" | "NOREPLICAS" | "TRYAGAIN" | "EXECABORT" | "NOTREADY" => {
            Class::Wait
        }
        "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "IDONTKNOW" => Class::Elsewhere,
        "MOVED" => Class::Moved,
        "ASK" => Class::Ask,
        "UNBLOCKED" if text.contains("instance state changed") => Class::Elsewhere,
        "NOGROUP" | "UNBLOCKED" => Class::NoGroup,
        "BUSYGROUP" => Class::Exists,
        "NOSCRIPT" => Class::NoScript,
        "ERR" => classify_general(text),
        "WRONGTYPE" | "NOAUTH" | "WRONGPASS" | "NOPERM" | "NOPROTO" | "DENIED" | "CROSSSLOT" => {
            Class::Misconfigured
        }
        // A vendor's own. If it does not pass by itself, it shows in every attempt.
        _ => Class::Wait,
    }
}

/// Replies without a code of their own.
fn classify_general(text: &str) -> Class {
    if text.starts_with("max number of clients") || text.starts_with("max number of clients +") {
        Class::Wait
    } else if text.starts_with("no such key") || text.contains("requires the key to exist") {
        Class::NoGroup
    } else if text.contains("Elements are too large") || text.starts_with("Protocol error") {
        Class::Invalid
    } else {
        // Unknown commands, wrong arguments, rights that a script lacks, a stream whose ids have run
        // out: asking again changes nothing.
        Class::Misconfigured
    }
}

/// What the person is to do who has to mend it.
fn next_step(code: &str, text: &str) -> Option<&'static str> {
    Some(match code {
        "WRONGTYPE" => {
            "the key holds something else: rename it, or use another name for the stream"
        }
        "NOAUTH" => "the server wants a password: redis://user:password@host",
        "WRONGPASS" => "check user and password",
        "NOPERM" => "give the user the rights that `millstream acl` lists",
        "NOPROTO" => "use ?protocol=resp2",
        "DENIED" => {
            "the server is in protected mode: set a password, or bind it to this machine only"
        }
        "MOVED" | "ASK" | "CROSSSLOT" => {
            "this is a node of a Cluster: use redis+cluster://host:port"
        }
        "OOM" => {
            "its memory is full: raise `maxmemory`, or let followers settle what it holds; nothing is lost"
        }
        "MISCONF" => "the server cannot save to its disk: look into its log",
        "NOREPLICAS" => "too few replicas are connected to the server",
        "ERR" if text.contains("ACL failure") || text.contains("executing the script can't") => {
            "give the user the rights that `millstream acl` lists"
        }
        "ERR" if text.contains("without any password configured") => {
            "leave user and password out of the URL"
        }
        "ERR" if text.contains("cluster support disabled") => {
            "this is no Cluster: use redis://host:port"
        }
        "ERR" if text.contains("DB index") => "choose another database, or raise `databases`",
        "ERR" if text.contains("is not allowed in cluster mode") => "a Cluster has only database 0",
        "ERR" if text.contains("unknown command") || text.contains("unknown subcommand") => {
            "Redis 7.0 or later, or Valkey, is needed, and none of its commands renamed"
        }
        "ERR" if text.contains("exhausted the last possible ID") => {
            "somebody added an entry with the largest id: rename the key, and start a new one"
        }
        _ => return None,
    })
}

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    text: String,
    /// Which of several servers said it.
    by: Option<String>,
}

impl Refusal {
    pub(super) fn class(&self) -> Class {
        classify(&self.code, &self.text)
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.text.contains(part)
    }

    /// The node that a redirect names.
    pub(super) fn redirect(&self) -> Option<&str> {
        self.text.split(' ').nth(1)
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        // Whatever follows are arguments of ours, or the place in a script.
        let text = error.details().unwrap_or_default();
        let end = [", with args beginning", " script: "]
            .iter()
            .filter_map(|cut| text.find(cut))
            .min();
        Self {
            code: error.code().to_owned(),
            text: text[..end.unwrap_or(text.len())].trim_end().to_owned(),
            by: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = self.by.as_deref().unwrap_or("the server");
        write!(f, "{by} answers {} {}", self.code, self.text)?;
        match next_step(&self.code, &self.text) {
            Some(step) => write!(f, " ({step})"),
            None => Ok(()),
        }
    }
}

/// What can go wrong between us and a server.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The server said no. It has changed nothing.
    Refused(Refusal),
    /// The connection broke, or no answer came in time. Whether it was done is unknown.
    Lost(String),
    /// Nothing was asked.
    Ours(ErrorKind, String),
}

impl Fault {
    /// A reply of another form than the command has.
    pub(super) fn shape(what: impl fmt::Display) -> Self {
        Self::Ours(
            ErrorKind::Misconfigured,
            format!("the server's answer is not what Redis answers: {what}"),
        )
    }

    pub(super) fn away(what: impl Into<String>) -> Self {
        Self::Ours(ErrorKind::Unavailable, what.into())
    }

    pub(super) fn misconfigured(what: impl Into<String>) -> Self {
        Self::Ours(ErrorKind::Misconfigured, what.into())
    }

    /// Says at which of several servers it happened.
    pub(super) fn at(self, server: impl fmt::Display) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(Refusal {
                by: Some(server.to_string()),
                ..refusal
            }),
            Self::Lost(text) => Self::Lost(format!("{server}: {text}")),
            Self::Ours(kind, text) => Self::Ours(kind, format!("{server}: {text}")),
        }
    }

    /// Whether a person has to mend it.
    pub(super) fn is_misconfigured(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.class() == Class::Misconfigured,
            Self::Ours(kind, _) => *kind == ErrorKind::Misconfigured,
            Self::Lost(_) => false,
        }
    }

    /// What to do about a refusal; none for anything else.
    pub(super) fn class(&self) -> Option<Class> {
        match self {
            Self::Refused(refusal) => Some(refusal.class()),
            _ => None,
        }
    }

    /// The error that leaves the transport. `context` says where, and what was being done.
    pub(super) fn into_error(self, context: impl fmt::Display) -> Error {
        match self {
            Self::Ours(kind, text) => Error::new(kind, format!("{context}: {text}")),
            Self::Lost(text) => Error::new(ErrorKind::Unavailable, format!("{context}: {text}")),
            Self::Refused(refusal) => {
                let text = format!("{context}: {refusal}");
                match refusal.class() {
                    Class::Full => Error::full(text),
                    Class::Misconfigured => Error::new(ErrorKind::Misconfigured, text),
                    Class::Invalid => Error::new(ErrorKind::Invalid, text),
                    // Redirects that lead nowhere within their bound end here too.
                    Class::Wait
                    | Class::Elsewhere
                    | Class::Moved
                    | Class::Ask
                    | Class::NoGroup
                    | Class::Exists
                    | Class::NoScript => Error::new(ErrorKind::Unavailable, text),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies of Redis 7.0 and Valkey 9, word for word.
    const TABLE: &[(Class, &str, &str)] = &[
        (
            Class::Full,
            "OOM",
            "command not allowed when used memory > 'maxmemory'.",
        ),
        (
            Class::Wait,
            "LOADING",
            "Redis is loading the dataset in memory",
        ),
        (
            Class::Wait,
            "BUSY",
            "Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        ),
        (
            Class::Wait,
            "MISCONF",
            "Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        ),
        (
            Class::Wait,
            "NOREPLICAS",
            "Not enough good replicas to write.",
        ),
        (
            Class::Wait,
            "TRYAGAIN",
            "Multiple keys request during rehashing of slot",
        ),
        (
            Class::Wait,
            "EXECABORT",
            "Transaction discarded because of previous errors.",
        ),
        (Class::Wait, "ERR", "max number of clients reached"),
        (
            Class::Wait,
            "ERR",
            "max number of clients + cluster connections reached",
        ),
        (Class::Wait, "VENDOR", "something of its own"),
        (
            Class::Elsewhere,
            "READONLY",
            "You can't write against a read only replica.",
        ),
        (
            Class::Elsewhere,
            "MASTERDOWN",
            "Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        ),
        (Class::Elsewhere, "CLUSTERDOWN", "The cluster is down"),
        (Class::Elsewhere, "CLUSTERDOWN", "Hash slot not served"),
        (
            Class::Elsewhere,
            "UNBLOCKED",
            "force unblock from blocking operation, instance state changed (master -> replica?)",
        ),
        (Class::Moved, "MOVED", "3999 127.0.0.1:6381"),
        (Class::Ask, "ASK", "3999 127.0.0.1:6381"),
        (
            Class::NoGroup,
            "NOGROUP",
            "No such key 's' or consumer group 'g' in XREADGROUP with GROUP option",
        ),
        (
            Class::NoGroup,
            "UNBLOCKED",
            "the stream key no longer exists",
        ),
        (Class::NoGroup, "ERR", "no such key"),
        (
            Class::NoGroup,
            "ERR",
            "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
        ),
        (
            Class::Exists,
            "BUSYGROUP",
            "Consumer Group name already exists",
        ),
        (
            Class::NoScript,
            "NOSCRIPT",
            "No matching script. Please use EVAL.",
        ),
        (
            Class::Misconfigured,
            "WRONGTYPE",
            "Operation against a key holding the wrong kind of value",
        ),
        (Class::Misconfigured, "NOAUTH", "Authentication required."),
        (
            Class::Misconfigured,
            "WRONGPASS",
            "invalid username-password pair or user is disabled.",
        ),
        (
            Class::Misconfigured,
            "NOPERM",
            "this user has no permissions to access one of the keys used as arguments",
        ),
        (
            Class::Misconfigured,
            "NOPERM",
            "User hr has no permissions to run the 'xadd' command",
        ),
        (
            Class::Misconfigured,
            "NOPROTO",
            "unsupported protocol version",
        ),
        (
            Class::Misconfigured,
            "DENIED",
            "Redis is running in protected mode because protected mode is enabled",
        ),
        (
            Class::Misconfigured,
            "CROSSSLOT",
            "Keys in request don't hash to the same slot",
        ),
        (Class::Misconfigured, "ERR", "unknown command 'XAUTOCLAIM'"),
        (
            Class::Misconfigured,
            "ERR",
            "The user executing the script can't run this command or subcommand",
        ),
        (
            Class::Misconfigured,
            "ERR",
            "ACL failure in script: No permissions to access a key",
        ),
        (
            Class::Misconfigured,
            "ERR",
            "AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        ),
        (Class::Misconfigured, "ERR", "DB index is out of range"),
        (
            Class::Misconfigured,
            "ERR",
            "This instance has cluster support disabled",
        ),
        (
            Class::Misconfigured,
            "ERR",
            "The stream has exhausted the last possible ID, unable to add more items",
        ),
        (Class::Misconfigured, "ERR", "syntax error"),
        (Class::Invalid, "ERR", "Elements are too large to be stored"),
        (Class::Invalid, "ERR", "Protocol error: invalid bulk length"),
    ];

    #[test]
    fn every_reply_has_its_class() {
        for &(class, code, text) in TABLE {
            assert_eq!(classify(code, text), class, "{code} {text}");
        }
    }

    #[test]
    fn whoever_has_to_mend_it_reads_how() {
        let unexplained: Vec<_> = TABLE
            .iter()
            .filter(|(class, ..)| *class == Class::Misconfigured)
            .filter(|(_, code, text)| next_step(code, text).is_none())
            .map(|(_, _, text)| *text)
            .collect();
        assert_eq!(unexplained, ["syntax error"]);
    }

    #[test]
    fn only_memory_makes_an_error_full() {
        for &(class, code, text) in TABLE {
            let fault = Fault::Refused(Refusal {
                code: code.into(),
                text: text.into(),
                by: None,
            });
            let error = fault.into_error("here");
            let kind = match class {
                Class::Misconfigured => ErrorKind::Misconfigured,
                Class::Invalid => ErrorKind::Invalid,
                _ => ErrorKind::Unavailable,
            };
            assert_eq!(
                (error.kind(), error.is_full()),
                (kind, class == Class::Full)
            );
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("here: the server answers {code} "))
            );
        }
    }
}
