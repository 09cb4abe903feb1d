//! What the process tells its caller. Scripts rely on these numbers.

use std::process::ExitCode;

/// The numbers, as `millstream help` and the manual name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done = 0,
    /// Failed in a way that has no number of its own.
    Failed = 1,
    // 2 is clap's: the command line cannot be understood.
    /// The configuration, the tables, or the input cannot be used as they are.
    Invalid = 3,
    /// Refused, since it might do harm.
    Refused = 4,
    /// A database or the transport is away.
    Unavailable = 5,
    /// Databases do not agree, or not in time.
    Differs = 6,
    /// An event was settled, but could not be applied.
    Parked = 7,
}

impl Code {
    /// The number for what ended in several ways: the lowest of those that are not 0, since what waiting
    /// does not mend has lower ones.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Done, code) | (code, Self::Done) => code,
            (one, other) if (one as u8) <= other as u8 => one,
            (_, other) => other,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that knows its number.
#[derive(Debug)]
pub(crate) struct Coded {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Coded {
    pub(crate) fn invalid(message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self {
            code: Code::Invalid,
            message: message.into(),
        })
    }

    pub(crate) fn refused(message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self {
            code: Code::Refused,
            message: message.into(),
        })
    }
}

impl std::fmt::Display for Coded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Coded {}

/// The number for an error.
pub(crate) fn of(error: &anyhow::Error) -> Code {
    use millstream::core::error::{Error, ErrorKind};
    use millstream::engine::{consumer, relay};

    let of_kind = |kind| match kind {
        ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::Fenced => Code::Unavailable,
        ErrorKind::Misconfigured | ErrorKind::Invalid => Code::Invalid,
        _ => Code::Failed,
    };
    for cause in error.chain() {
        if let Some(coded) = cause.downcast_ref::<Coded>() {
            return coded.code;
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return of_kind(error.kind());
        }
        if cause.is::<millstream::config::Error>() {
            return Code::Invalid;
        }
        match cause.downcast_ref::<consumer::Error>() {
            Some(consumer::Error::Store(error)) => return of_kind(error.kind()),
            Some(consumer::Error::GroupHeld { .. } | consumer::Error::Late { .. }) => {
                return Code::Refused;
            }
            Some(_) => return Code::Invalid,
            None => {}
        }
        match cause.downcast_ref::<relay::Error>() {
            Some(relay::Error::Store(error)) => return of_kind(error.kind()),
            Some(_) => return Code::Refused,
            None => {}
        }
    }
    Code::Failed
}
