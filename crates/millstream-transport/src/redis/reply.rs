//! Takes replies apart, in the forms of both protocols.

use bytes::Bytes;
use redis::Value;

use millstream_core::entry::{Entry, EntryId, Fields};

use super::error::Fault;

pub(super) fn array(value: Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(items) | Value::Set(items) => Ok(items),
        Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(k, v)| [k, v]).collect()),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Fault::shape("not a list")),
    }
}

/// A list of names and values.
pub(super) fn pairs(value: Value) -> Result<Vec<(Value, Value)>, Fault> {
    if let Value::Map(pairs) = value {
        return Ok(pairs);
    }
    let mut pairs = Vec::new();
    let mut items = array(value)?.into_iter();
    while let Some(name) = items.next() {
        let value = items.next().ok_or_else(|| Fault::shape("a name alone"))?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// The value of a name, taken out of a list of names and values.
pub(super) fn take(pairs: &mut [(Value, Value)], name: &str) -> Option<Value> {
    let (_, value) = pairs.iter_mut().find(|(key, _)| is(key, name))?;
    Some(std::mem::take(value))
}

/// The value of a name that must be there.
pub(super) fn need(pairs: &mut [(Value, Value)], name: &str) -> Result<Value, Fault> {
    take(pairs, name).ok_or_else(|| Fault::shape(format!("no {name}")))
}

fn is(value: &Value, text: &str) -> bool {
    match value {
        Value::BulkString(bytes) => bytes == text.as_bytes(),
        Value::SimpleString(found) => found == text,
        _ => false,
    }
}

pub(super) fn bytes(value: Value) -> Result<Bytes, Fault> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        Value::SimpleString(text) => Ok(text.into()),
        Value::VerbatimString { text, .. } => Ok(text.into()),
        Value::Okay => Ok(Bytes::from_static(b"OK")),
        _ => Err(Fault::shape("not a text")),
    }
}

pub(super) fn text(value: Value) -> Result<String, Fault> {
    String::from_utf8(bytes(value)?.into()).map_err(|_| Fault::shape("not UTF-8"))
}

pub(super) fn number(value: Value) -> Result<u64, Fault> {
    match value {
        // Lag has been seen below zero.
        Value::Int(number) => Ok(u64::try_from(number).unwrap_or(0)),
        other => text(other)?
            .parse()
            .map_err(|_| Fault::shape("not a number")),
    }
}

pub(super) fn id(value: Value) -> Result<EntryId, Fault> {
    text(value)?
        .parse()
        .map_err(|_| Fault::shape("not an entry id"))
}

/// An entry: its id, and its fields, which are missing where it was removed.
pub(super) fn entry(value: Value) -> Result<(EntryId, Option<Fields>), Fault> {
    let mut parts = array(value)?.into_iter();
    let (Some(at), Some(fields)) = (parts.next(), parts.next()) else {
        return Err(Fault::shape("not an entry"));
    };
    let at = id(at)?;
    if fields == Value::Nil {
        return Ok((at, None));
    }
    let pairs = pairs(fields)?;
    let mut fields = Fields::with_capacity(pairs.len());
    for (name, value) in pairs {
        fields.push(bytes(name)?, bytes(value)?);
    }
    Ok((at, Some(fields)))
}

/// A list of entries that are all there.
pub(super) fn entries(value: Value) -> Result<Vec<Entry>, Fault> {
    array(value)?
        .into_iter()
        .map(|item| match entry(item)? {
            (id, Some(fields)) => Ok(Entry { id, fields }),
            (id, None) => Err(Fault::shape(format!("entry {id} without fields"))),
        })
        .collect()
}

/// The entries of the one stream that a read asked for.
pub(super) fn streams(value: Value) -> Result<Vec<Entry>, Fault> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Map(mut streams) => match streams.pop() {
            Some((_, found)) => entries(found),
            None => Ok(Vec::new()),
        },
        other => match array(other)?.pop() {
            Some(stream) => entries(array(stream)?.pop().unwrap_or_default()),
            None => Ok(Vec::new()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Array(items.into_iter().collect())
    }

    fn found() -> Value {
        list([list([bulk("1-2"), list([bulk("a"), bulk("b")])])])
    }

    #[test]
    fn both_protocols_say_the_same() {
        let fields: Fields = [(Bytes::from("a"), Bytes::from("b"))].into_iter().collect();
        let expected = [Entry {
            id: EntryId::new(1, 2),
            fields,
        }];
        let second = list([list([bulk("key"), found()])]);
        let third = Value::Map(vec![(bulk("key"), found())]);
        for reply in [second, third] {
            assert_eq!(streams(reply).unwrap(), expected);
        }
        for nothing in [Value::Nil, list([]), Value::Map(vec![])] {
            assert_eq!(streams(nothing).unwrap(), []);
        }
        let mut info = pairs(list([bulk("lag"), Value::Int(-30)])).unwrap();
        assert_eq!(number(need(&mut info, "lag").unwrap()).unwrap(), 0);
        assert!(need(&mut info, "length").is_err());
    }

    #[test]
    fn odd_replies_are_errors() {
        for reply in [
            Value::Int(1),
            list([bulk("key")]),
            list([list([bulk("key"), bulk("x")])]),
            list([list([bulk("key"), list([bulk("1-1")])])]),
            list([list([bulk("key"), list([list([bulk("x"), list([])])])])]),
            list([list([
                bulk("key"),
                list([list([bulk("1-1"), list([bulk("a")])])]),
            ])]),
            list([list([bulk("key"), list([list([bulk("1-1"), Value::Nil])])])]),
        ] {
            assert!(streams(reply.clone()).is_err(), "{reply:?}");
        }
    }
}
