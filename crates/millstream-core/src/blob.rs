//! Fields as one blob, for tables that keep them: the embedded log, and dead letters.
//!
//! A version byte, the number of fields, the lengths of each name and value, then all names and
//! values. Numbers are LEB128.

use bytes::Bytes;

use crate::entry::Fields;

/// The first byte of each blob.
const VERSION: u8 = 1;

/// Why a blob cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first byte is of a later version.
    #[error("fields have the unknown format {0}")]
    Version(u8),
    /// It was cut.
    #[error("fields end too early")]
    Short,
    /// Something stands behind it.
    #[error("fields go on after their end")]
    Long,
    /// A length that no field has.
    #[error("fields hold a number that is too large")]
    Number,
}

/// Makes a blob of fields.
pub fn encode(fields: &Fields) -> Vec<u8> {
    // Most lengths take one byte, a long value's two or three.
    let mut blob = Vec::with_capacity(8 + 3 * fields.len() + fields.byte_len());
    blob.push(VERSION);
    push_number(&mut blob, fields.len());
    for (name, value) in fields.iter() {
        push_number(&mut blob, name.len());
        push_number(&mut blob, value.len());
    }
    for (name, value) in fields.iter() {
        blob.extend_from_slice(name);
        blob.extend_from_slice(value);
    }
    blob
}

/// Takes a blob apart. Names and values share its memory.
///
/// # Errors
///
/// Fails when the blob is damaged or of a later version.
pub fn decode(blob: &Bytes) -> Result<Fields, Error> {
    let mut head = Head { blob, at: 1 };
    match blob.first() {
        Some(&VERSION) => {}
        Some(&other) => return Err(Error::Version(other)),
        None => return Err(Error::Short),
    }
    let count = head.number()?;
    // Each field takes two bytes of lengths, so a false count cannot make us reserve much.
    if count > blob.len() / 2 {
        return Err(Error::Short);
    }
    let mut lengths = Head { blob, at: head.at };
    for _ in 0..2 * count {
        head.number()?;
    }
    let mut at = head.at;
    let mut take = |length: usize| {
        let end = at
            .checked_add(length)
            .filter(|&end| end <= blob.len())
            .ok_or(Error::Short)?;
        let part = blob.slice(at..end);
        at = end;
        Ok(part)
    };
    let mut fields = Fields::with_capacity(count);
    for _ in 0..count {
        let (name, value) = (lengths.number()?, lengths.number()?);
        fields.push(take(name)?, take(value)?);
    }
    if at == blob.len() {
        Ok(fields)
    } else {
        Err(Error::Long)
    }
}

fn push_number(blob: &mut Vec<u8>, mut number: usize) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            blob.push(low & 0x7f);
            return;
        }
        blob.push(low | 0x80);
    }
}

/// The place in the blob up to which it is understood.
struct Head<'a> {
    blob: &'a [u8],
    at: usize,
}

impl Head<'_> {
    fn number(&mut self) -> Result<usize, Error> {
        let mut number = 0;
        // Four groups of seven bits: lengths up to 256 MiB, far above the largest field.
        for shift in [0, 7, 14, 21] {
            let byte = *self.blob.get(self.at).ok_or(Error::Short)?;
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Fields {
        let mut fields = Fields::default();
        fields.push("eventId", "e-1");
        fields.push("", "");
        fields.push(&b"\x00\xff"[..], vec![0xfe; 200]);
        fields.push("long", vec![7; 70_000]);
        fields
    }

    #[test]
    fn what_goes_in_comes_out() {
        for fields in [Fields::default(), sample()] {
            assert_eq!(decode(&encode(&fields).into()).unwrap(), fields);
        }
    }

    #[test]
    fn the_format_stays() {
        let mut fields = Fields::default();
        fields.push("a", "xyz");
        assert_eq!(encode(&fields), b"\x01\x01\x01\x03axyz");
    }

    #[test]
    fn fields_share_the_memory_of_the_blob() {
        let blob = Bytes::from(encode(&sample()));
        let value = decode(&blob).unwrap().get("long").unwrap().clone();
        assert!(blob.as_ptr_range().contains(&value.as_ptr()));
    }

    #[test]
    fn a_broken_blob_is_an_error() {
        let whole = encode(&sample());
        for length in 0..300 {
            assert!(
                decode(&Bytes::copy_from_slice(&whole[..length])).is_err(),
                "{length}"
            );
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(decode(&longer.into()), Err(Error::Long));
        assert_eq!(decode(&Bytes::from_static(&[9])), Err(Error::Version(9)));
        assert_eq!(
            decode(&Bytes::from_static(&[1, 0xff, 0xff, 0xff, 0xff, 1])),
            Err(Error::Number)
        );
        for at in 0..300 {
            for flip in [0x01, 0x80, 0xff] {
                let mut blob = whole.clone();
                blob[at] ^= flip;
                // Any answer will do, a panic will not.
                let _any = decode(&blob.into());
            }
        }
    }
}
