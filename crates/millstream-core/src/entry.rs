//! What a stream holds: entries with an id and fields.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;

use crate::name::{AppName, StreamName};

/// The id of an entry: two rising numbers, as in Redis.
///
/// On an owned stream they are generation and seq, on the shared stream milliseconds and a counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// Generation of an owned stream, or milliseconds on the shared stream.
    pub high: u64,
    /// Seq of an owned stream, or the counter within one millisecond.
    pub low: u64,
}

impl EntryId {
    /// Below every entry.
    pub const ZERO: Self = Self::new(0, 0);

    /// Puts an id together.
    pub const fn new(high: u64, low: u64) -> Self {
        Self { high, low }
    }

    /// The largest id below this one; itself where there is none.
    #[must_use]
    pub fn before(self) -> Self {
        match (self.high, self.low) {
            (0, 0) => self,
            (high, 0) => Self::new(high - 1, u64::MAX),
            (high, low) => Self::new(high, low - 1),
        }
    }

    /// The smallest id above this one, if there is one.
    pub fn after(self) -> Option<Self> {
        match self.low.checked_add(1) {
            Some(low) => Some(Self::new(self.high, low)),
            None => Some(Self::new(self.high.checked_add(1)?, 0)),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.high, self.low)
    }
}

/// The text is not of the form `number-number`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an entry id such as 1-42")]
pub struct ParseEntryIdError(String);

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('-')
            .and_then(|(high, low)| Some(Self::new(high.parse().ok()?, low.parse().ok()?)))
            .ok_or_else(|| ParseEntryIdError(text.into()))
    }
}

/// The flat field-value list of an entry, in its order, byte for byte.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Bytes, Bytes)>);

impl Fields {
    /// An empty list with room for `capacity` fields.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends a field.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .find(|(field, _)| field == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Bytes, &Bytes)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values.
    pub fn byte_len(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// Shows names and sizes; values may hold what must not reach a log.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.0
                    .iter()
                    .map(|(name, value)| (String::from_utf8_lossy(name), value.len())),
            )
            .finish()
    }
}

impl FromIterator<(Bytes, Bytes)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// One item of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: EntryId,
    /// What it says.
    pub fields: Fields,
}

/// One shard of an owned stream: a log with one writer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    /// The stream that the shard belongs to.
    pub stream: StreamName,
    /// The application that owns it, and whose relay alone writes to it.
    pub owner: AppName,
    /// Its number, from 0.
    pub number: u16,
}

impl Shard {
    /// The shard that events of a tenant's key belong to, of `count`.
    ///
    /// CRC16 (XMODEM), as Redis Cluster computes its slots.
    pub fn number_of(tenant: &[u8], key: &[u8], count: u16) -> u16 {
        const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
        let mut digest = CRC.digest();
        digest.update(tenant);
        digest.update(b":");
        digest.update(key);
        digest.finalize() % count.max(1)
    }
}

/// The key under which a transport keeps the shard: `inter-app-events:{crm:0}`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{{{}:{}}}", self.stream, self.owner, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_order_by_generation_then_seq() {
        let mut ids = ["2-1", "1-10", "1-9"].map(|id| id.parse::<EntryId>().unwrap());
        ids.sort();
        assert_eq!(ids.map(|id| id.to_string()), ["1-9", "1-10", "2-1"]);
        assert!("1".parse::<EntryId>().is_err());
        assert!("a-1".parse::<EntryId>().is_err());
    }

    #[test]
    fn neighbours_step_over_both_parts() {
        for (id, next) in [
            (EntryId::ZERO, EntryId::new(0, 1)),
            (EntryId::new(3, u64::MAX), EntryId::new(4, 0)),
            (EntryId::new(u64::MAX, 7), EntryId::new(u64::MAX, 8)),
        ] {
            assert_eq!((id.after(), next.before()), (Some(next), id));
        }
        assert_eq!(EntryId::new(u64::MAX, u64::MAX).after(), None);
        assert_eq!(EntryId::ZERO.before(), EntryId::ZERO);
    }

    #[test]
    fn shard_numbers_are_those_of_a_redis_slot() {
        // The check value of the algorithm, over "123456789", is 0x31c3; one more byte is hashed here.
        const CRC: crc::Crc<u16> = crc::Crc::<u16>::new(&crc::CRC_16_XMODEM);
        assert_eq!(CRC.checksum(b"123456789"), 0x31c3);
        assert_eq!(
            Shard::number_of(b"acme", b"7", 16_384),
            CRC.checksum(b"acme:7") % 16_384
        );
        assert_eq!(Shard::number_of(b"t", b"k", 1), 0);
        assert!((0..1000u32).all(|k| Shard::number_of(b"t", k.to_string().as_bytes(), 4) < 4));
    }
}
